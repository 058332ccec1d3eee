// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Counts the capability checks of watched containers and keeps their refused system calls.
 *
 * The only C of the project, compiled by tools/build-bpf; the object is committed, so that nobody needs clang to build. It is
 * CO-RE: the few kernel types in kernel.h name only the members that are read, and the loader moves them to where the running kernel has
 * them. Not for: judging. What is noise is decided in selkie-learn, from what is kept here.
 *
 *   cap_capable  (tracepoint, fexit or kprobe pair: one of the three)
 *     whose?       by mount namespace, else by the v2 cgroup or one above it; most tasks are nobody's, and are done here
 *     armed?       the first check inside an execve(2) of the container's first process arms it: what came before is the engine's.
 *                  Where the compiler made the check of execve(2) part of its caller there is none to be seen by fexit and kprobe:
 *                  then sched_process_exec does, or sys_exit of one that was refused
 *     entering?    what a process does that was forked outside and has not called execve(2) since is the engine's too: `exec`
 *     count        `checks`: (context, system call, capability, verdict, flags) -> how often, first, last
 *     stack        `sites`: the same with the hash of the kernel stack, for the first 8, 1 in 256, and everything denied
 *     denied       `refused`: up to 6 a thread, until its system call returns
 *     aggregate    nobody reads meanwhile: denied checks are counted in `tallies`, one value a container, and nothing else is kept
 *   sys_exit     (attached only while somebody learns)
 *                `calls`: a record of each call that was refused or had a check denied; of many alike only the first ones
 *   sched_process_exec  arms
 *   sched_process_exit  `endings`; and when the first process ends nothing but endings is taken any more
 *
 * Layouts are repeated in src/bpf/layout.rs. Needs Linux 5.15 (bpf_task_pt_regs).
 */
#include "kernel.h"

enum { PF_IO_WORKER = 0x10, PF_USER_WORKER = 0x4000, PF_KTHREAD = 0x200000 };
enum { OPTION_NOAUDIT = 2 };
enum { EPERM = 1, EACCES = 13, EROFS = 30 };
enum { AF_NETLINK = 16 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000 };

enum flag {
	HELD = 1 << 0,
	FOREIGN = 1 << 1,
	BORROWED = 1 << 2,
	TARGET_INITIAL = 1 << 3,
	OWNER_INITIAL = 1 << 4,
	TARGET_OWN = 1 << 5,
	UID_ZERO = 1 << 6,
	POWERLESS = 1 << 7,
	WORKER = 1 << 8,
	AUDIT_KNOWN = 1 << 9,
	SILENT = 1 << 10,
};

/* What arguments of a system call point to. */
enum kind {
	NOTHING,
	PATH_0,
	PATH_1,
	PATH_4,
	PATHS_0_1,
	PATHS_1_0,
	PATHS_0_2,
	PATHS_1_3,
	ADDRESS,
	SEND_BUFFER,
	SEND_MESSAGE,
	SETS,
	KIND = 0x7f,
	EXECVE = 0x80,
};

enum { NO_CALL = 0xffffffff, COMPAT = 0x80000000 };
enum { FRAMES = 40, DENIALS = 6, LEVELS = 16, TEXT = 200, PIDS = 8, PARTS = 8, PART = 48 };
/* How many calls that are alike in all but arguments are kept one by one; the others are counted. */
enum { ALIKE_REFUSED = 256, ALIKE_OTHER = 4 };
/* How many kinds of denied checks, and stacks of them, an aggregate keeps apart. */
enum { KINDS = 64, HITS = 128 };

struct context {
	u64 start; /* when it was armed, 0 before */
	u64 ended; /* when its first process ended, 0 before */
	u64 calls; /* records so far: number of the next one */
	u64 lost_checks, lost_calls, lost_stacks;
	u64 cgroup;	   /* key in `cgroups`, 0 for none */
	u32 mounts;	   /* key in `mounts` */
	u32 init;	   /* first process, as the namespace `observer` counts */
	u32 observer;	   /* PID namespace of the observer */
	u32 pid_namespace; /* PID namespace of the container */
	u64 owner_start;   /* start time of the process that watches, in ticks, or the store of an aggregate; not used here */
	u32 owner;	   /* its pid; not used here */
	u32 aggregate;	   /* nobody watches: only `tallies` */
};

struct kind_of_check {
	u64 context;
	u32 nr;
	u16 flags;
	u8 capability;
	u8 denied;
};

struct site {
	struct kind_of_check check;
	u64 stack; /* hash; 0 if there was no room */
};

struct counted {
	u64 count, first, last;
	char comm[16];
};

struct hit {
	u64 key, stack, count;
};

/* The denied checks of a container for which nobody reads: in one value, so that forgetting it is one call. */
struct tally {
	u64 lost;
	u32 kinds, hits;
	u64 keys[KINDS]; /* as tally_key() makes them */
	struct counted counted[KINDS];
	struct hit hit[HITS];
};

struct denial {
	u64 stack;
	u16 flags;
	u8 capability;
	u8 unused[5];
};

struct refusal {
	u64 context;
	u32 nr;
	u32 count;
	struct denial denied[DENIALS];
};

struct call_key {
	u64 context;
	u64 number;
};

struct credentials {
	u64 effective, permitted, bounding;
	u32 uid, gid;
};

struct call {
	u64 at;
	s64 result;
	u64 arguments[6];
	struct credentials credentials;
	struct denial denied[DENIALS];
	u32 nr, count, pid, tgid;
	char comm[16];
	u16 family;   /* of the socket that is argument 0, if it is one */
	u16 protocol; /* its protocol */
	u16 lengths[2];
	char texts[2][TEXT];
	u64 parts; /* of the path of the program, last one first; 0 if it is not beneath the root on its mount */
	char program[PARTS][PART];
};

struct alike {
	u64 context;
	u64 stacks; /* of all denials */
	u32 nr;
	s32 result;
	u64 capabilities;
};

struct repeated {
	u64 count;
	u64 last; /* number of the last one that was kept */
};

struct ending {
	u64 context;
	struct credentials credentials;
	char comm[16];
	u64 no_new_privileges;
};

struct stack {
	u64 frames[FRAMES];
};

/* What the entry probe of the pair hands to the return probe. */
struct entered {
	struct cred *cred;
	struct user_namespace *target;
	s32 capability;
	u32 options;
};

#define MAP(name, kind, entries, how, key_type, value_type) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__uint(map_flags, how); \
		__type(key, key_type); \
		__type(value, value_type); \
	} name SEC(".maps")

MAP(mounts, HASH, 16384, NO_PREALLOC, u32, u64);
MAP(cgroups, HASH, 4096, NO_PREALLOC, u64, u64);
/* Whether any container's cgroup is that far below the root; 0: whether there is one at all. */
MAP(levels, ARRAY, LEVELS, 0, u32, u32);
MAP(contexts, HASH, 16384, NO_PREALLOC, u64, struct context);
MAP(tallies, HASH, 8192, NO_PREALLOC, u64, struct tally);
MAP(kinds, ARRAY, 512, 0, u32, u8);
/* The link of sys_exit that whoever learns shares; the programs do not use it. */
MAP(shared, ARRAY, 1, 0, u32, u32);
MAP(checks, HASH, 65536, NO_PREALLOC, struct kind_of_check, struct counted);
MAP(sites, HASH, 65536, NO_PREALLOC, struct site, u64);
MAP(stacks, HASH, 16384, NO_PREALLOC, u64, struct stack);
MAP(refused, HASH, 4096, NO_PREALLOC, u64, struct refusal);
/* How many are in there. Mostly none, and every system call of the machine would have to look. */
MAP(refusals, ARRAY, 1, 0, u32, u64);
MAP(alikes, HASH, 16384, NO_PREALLOC, struct alike, struct repeated);
MAP(calls, HASH, 16384, NO_PREALLOC, struct call_key, struct call);
MAP(endings, HASH, 16384, NO_PREALLOC, struct ending, u64);
MAP(entries, HASH, 4096, NO_PREALLOC, u64, struct entered);
MAP(stack_room, PERCPU_ARRAY, 1, 0, u32, struct stack);
MAP(worker_room, PERCPU_ARRAY, 1, 0, u32, struct call);
MAP(call_room, PERCPU_ARRAY, 1, 0, u32, struct call);

/* The helpers that read kernel memory and stacks may be used by programs under this licence only. The word stands here and nowhere else. */
char LICENSE[] SEC("license") = "GPL";

/* Reads a member: directly where the verifier knows the type, by copying where it does not (`known` is a constant). */
#define READ(known, pointer, member) \
	({ \
		typeof((pointer)->member) value_; \
		if (known) \
			value_ = (pointer)->member; \
		else \
			read_kernel(&value_, sizeof(value_), &(pointer)->member); \
		value_; \
	})

INLINE u64 set_of(const kernel_cap_t *set)
{
	u64 bits = 0;
	read_kernel(&bits, sizeof(bits), set);
	return bits;
}

INLINE u64 *by_cgroup(void)
{
	/* A key's address is given away, so the verifier knows nothing of its value: it is never what a loop counts with. */
	u32 key = 0;
	u32 *used = lookup(&levels, &key);
	if (!used || !*used)
		return 0;
	u64 cgroup = cgroup_id();
	u64 *found = lookup(&cgroups, &cgroup);
	for (u32 level = 1; !found && level < LEVELS; level++) {
		key = level;
		used = lookup(&levels, &key);
		if (!used || !*used)
			continue;
		cgroup = ancestor_cgroup_id(level);
		if (!cgroup)
			break;
		found = lookup(&cgroups, &cgroup);
	}
	return found;
}

/*
 * Returns whose the current task is. One that has ended is returned only if no other is found: the number of its mount namespace may
 * have been given to another one since.
 */
INLINE struct context *context_of(struct task_struct *task, u64 *id)
{
	struct context *ended = 0;
	u32 mounts_of_task = task->nsproxy->mnt_ns->ns.inum;
	u64 *found = lookup(&mounts, &mounts_of_task);
	if (found) {
		*id = *found;
		ended = lookup(&contexts, id);
		if (ended && !ended->ended)
			return ended;
	}
	found = by_cgroup();
	if (found) {
		u64 other = *found;
		struct context *context = lookup(&contexts, &other);
		if (context && (!ended || !context->ended)) {
			*id = other;
			return context;
		}
	}
	return ended;
}

/* Returns the number of a process in a PID namespace, 0 if it has none there. */
INLINE u32 number_in(struct task_struct *leader, u32 namespace)
{
	struct pid *pid = leader->thread_pid;
	u32 highest = pid->level;
	for (u32 level = 0; level < PIDS && level <= highest; level++) {
		struct upid number = {};
		read_kernel(&number, sizeof(number), (void *)&pid->numbers + level * sizeof(number));
		u32 inum = 0;
		read_kernel(&inum, sizeof(inum), &number.ns->ns.inum);
		if (inum == namespace)
			return number.nr;
	}
	return 0;
}

/* Returns the number in the container's namespace, or in the process's own where it is in another one. */
INLINE u32 number_of(struct task_struct *leader, u32 namespace)
{
	u32 number = number_in(leader, namespace);
	if (!number) {
		struct pid *pid = leader->thread_pid;
		struct upid own = {};
		read_kernel(&own, sizeof(own), (void *)&pid->numbers + (pid->level & 31) * sizeof(own));
		number = own.nr;
	}
	return number;
}

INLINE void credentials_of(struct cred *cred, struct credentials *to)
{
	to->effective = set_of(&cred->cap_effective);
	to->permitted = set_of(&cred->cap_permitted);
	to->bounding = set_of(&cred->cap_bset);
	to->uid = cred->euid.val;
	to->gid = cred->egid.val;
}

INLINE u16 flags_of(struct task_struct *task, struct cred *cred, struct user_namespace *target, u32 capability, int known)
{
	u16 flags = 0;
	u64 effective = set_of(&cred->cap_effective);
	struct user_namespace *owner = READ(known, cred, user_ns);
	int level = READ(known, owner, level);
	u32 uid = READ(known, cred, euid.val);
	struct cred *acting = task->cred, *real = task->real_cred;

	if (effective >> (capability & 63) & 1)
		flags |= HELD;
	if (cred != acting && cred != real)
		flags |= FOREIGN;
	if (acting != real)
		flags |= BORROWED;
	if (READ(known, target, level) == 0)
		flags |= TARGET_INITIAL;
	if (level == 0)
		flags |= OWNER_INITIAL;
	if (target == owner)
		flags |= TARGET_OWN;
	if (uid == 0)
		flags |= UID_ZERO;
	if (!effective)
		flags |= POWERLESS;
	return flags;
}

/* Keeps the stack and returns its hash, 0 if there is none or no room. */
INLINE u64 stack_of(void *ctx, struct context *context)
{
	u32 zero = 0;
	struct stack *room = lookup(&stack_room, &zero);
	if (!room)
		return 0;
	long size = kernel_stack(ctx, room, sizeof(*room), 0);
	u64 hash = 0xcbf29ce484222325;
	for (u32 frame = 0; frame < FRAMES; frame++) {
		if ((long)(frame * sizeof(u64)) >= size)
			room->frames[frame] = 0;
		hash = (hash ^ room->frames[frame]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 29;
	}
	if (size <= 0 || (!lookup(&stacks, &hash) && update(&stacks, &hash, room, 0))) {
		__sync_fetch_and_add(&context->lost_stacks, 1);
		return 0;
	}
	return hash;
}

INLINE void count_refusals(s64 more)
{
	u32 zero = 0;
	u64 *count = lookup(&refusals, &zero);
	if (count)
		__sync_fetch_and_add(count, more);
}

INLINE void forget_refusal(u64 thread)
{
	if (!delete(&refused, &thread))
		count_refusals(-1);
}

INLINE void keep_denial(u64 id, struct context *context, u32 nr, const struct denial *denial)
{
	u64 thread = pid_tgid();
	struct refusal *refusal = lookup(&refused, &thread);
	if (!refusal || refusal->nr != nr || refusal->context != id) {
		struct refusal first = {.context = id, .nr = nr, .count = 1};
		first.denied[0] = *denial;
		if (update(&refused, &thread, &first, 0))
			__sync_fetch_and_add(&context->lost_calls, 1);
		else if (!refusal)
			count_refusals(1);
		return;
	}
	u32 count = refusal->count;
	for (u32 place = 0; place < DENIALS; place++) {
		struct denial *known = &refusal->denied[place];
		if (place < count && known->stack == denial->stack && known->capability == denial->capability && known->flags == denial->flags)
			return;
	}
	if (count >= DENIALS) {
		__sync_fetch_and_add(&context->lost_checks, 1);
		return;
	}
	refusal->denied[count] = *denial;
	refusal->count = count + 1;
}

/* Stores a record under the next number; returns 0 and counts if there is no room. */
INLINE int keep_call(u64 id, struct context *context, struct call *call, u64 *number)
{
	struct call_key key = {.context = id};
	key.number = __sync_fetch_and_add(&context->calls, 1);
	*number = key.number;
	if (!update(&calls, &key, call, 0))
		return 1;
	__sync_fetch_and_add(&context->lost_calls, 1);
	return 0;
}

/* Takes the path of the program apart, up to the root directory of the task. */
INLINE void read_program(struct task_struct *task, struct call *call)
{
	call->parts = 0;
	struct mm_struct *mm = task->mm;
	struct fs_struct *fs = task->fs;
	if (!mm || !fs)
		return;
	struct file *file = READ(0, mm, exe_file);
	if (!file || READ(0, file, f_path.mnt) != READ(0, fs, root.mnt))
		return;
	struct dentry *root = READ(0, fs, root.dentry), *dentry = READ(0, file, f_path.dentry);
	for (u32 part = 0; part < PARTS; part++) {
		const char *name = READ(0, dentry, d_name.name);
		if (read_kernel_string(call->program[part], PART, name) <= 0)
			return;
		dentry = READ(0, dentry, d_parent);
		if (dentry == root) {
			call->parts = part + 1;
			return;
		}
	}
}

INLINE void describe_task(struct task_struct *task, struct context *context, struct call *call)
{
	call->at = now_ns() - context->start;
	call->pid = number_of(task->group_leader, context->pid_namespace);
	call->tgid = number_in(task->group_leader, context->observer);
	current_comm(call->comm, sizeof(call->comm));
	credentials_of(task->cred, &call->credentials);
	read_program(task, call);
	call->family = call->protocol = call->lengths[0] = call->lengths[1] = 0;
}

/* A worker makes no system call that would return: its denied check is a record of its own. */
INLINE void keep_worker(u64 id, struct context *context, struct task_struct *task, const struct denial *denial)
{
	u32 zero = 0;
	u64 number;
	struct call *call = lookup(&worker_room, &zero);
	if (!call)
		return;
	describe_task(task, context, call);
	for (u32 place = 0; place < 6; place++)
		call->arguments[place] = 0;
	call->result = -EPERM;
	call->nr = NO_CALL;
	call->count = 1;
	call->denied[0] = *denial;
	keep_call(id, context, call, &number);
}

INLINE u32 number_of_call(struct pt_regs *registers)
{
	u32 nr = CALL(registers);
	return IS_COMPAT(registers) ? nr | COMPAT : nr;
}

INLINE u8 kind_of_call(u32 nr)
{
	u32 index = nr & ~0x40000000; /* x32 counts like x86_64 in all that is looked at */
	u8 *kind = lookup(&kinds, &index);
	return kind ? *kind : 0;
}

/* Arms a context if this is what it waits for. */
INLINE void arm(struct task_struct *task, struct context *context)
{
	if (!context->start && number_in(task->group_leader, context->observer) == context->init)
		context->start = now_ns();
}

/*
 * Returns whether the task is on its way into a running container, for its engine: forked outside, no execve(2) since. A fork shares
 * the very `struct file` of the program with its parent and each execve(2) opens another one, so that no program of the container can
 * look like this, whatever it executes and by CLONE_PARENT too. Whoever was orphaned inside has a parent in the same PID namespace;
 * where that is the observer's own, inside cannot be told from outside and everything counts.
 */
INLINE int is_entering(struct task_struct *task, struct context *context)
{
	if (context->pid_namespace == context->observer)
		return 0;
	struct task_struct *parent = task->real_parent;
	struct mm_struct *mm = task->mm, *outer = parent->mm;
	if (!mm || !outer)
		return 0;
	struct file *program = READ(0, mm, exe_file);
	return program && program == READ(0, outer, exe_file) && !number_in(parent->group_leader, context->pid_namespace);
}

INLINE u64 tally_key(u32 nr, u16 flags, u32 capability)
{
	return (u64)nr << 32 | (u64)flags << 16 | (capability & 0xff) << 8 | 1;
}

/* Counts a stack; two processors that see a new one at once give it two places, which the reader adds up. */
INLINE void tally_stack(struct tally *tally, u64 key, u64 stack)
{
	for (u32 place = 0; place < HITS; place++) {
		struct hit *hit = &tally->hit[place];
		if (hit->key == key && hit->stack == stack) {
			__sync_fetch_and_add(&hit->count, 1);
			return;
		}
	}
	if (tally->hits >= HITS)
		return;
	u32 place = __sync_fetch_and_add(&tally->hits, 1);
	if (place >= HITS)
		return;
	tally->hit[place].stack = stack;
	tally->hit[place].count = 1;
	tally->hit[place].key = key;
}

/* Counts a denied check of a container for which nobody reads; its stack only now and then. */
INLINE int tally_check(void *ctx, u64 id, struct context *context, u64 key)
{
	struct tally *tally = lookup(&tallies, &id);
	if (!tally)
		return 0;
	u64 before = 0, now = now_ns() - context->start;
	u32 place = 0;
	for (; place < KINDS; place++)
		if (tally->keys[place] == key)
			break;
	if (place < KINDS) {
		before = __sync_fetch_and_add(&tally->counted[place].count, 1);
		tally->counted[place].last = now;
	} else {
		place = KINDS;
		if (tally->kinds < KINDS)
			place = __sync_fetch_and_add(&tally->kinds, 1);
		if (place >= KINDS) {
			__sync_fetch_and_add(&tally->lost, 1);
			return 0;
		}
		struct counted *counted = &tally->counted[place];
		counted->count = 1;
		counted->first = counted->last = now;
		current_comm(counted->comm, sizeof(counted->comm));
		tally->keys[place] = key;
	}
	if (before < 8 || before % 256 == 0)
		tally_stack(tally, key, stack_of(ctx, context));
	return 0;
}

/* Remembers one check. `known`: the verifier knows the types of the pointers. */
INLINE int check(void *ctx, struct cred *cred, struct user_namespace *target, u32 capability, int denied, u16 audit, int known)
{
	struct task_struct *task = current_task();
	u64 id = 0;
	struct context *context = context_of(task, &id);
	if (!context || context->ended)
		return 0;

	int worker = (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) != 0;
	u32 nr = worker ? NO_CALL : number_of_call((struct pt_regs *)task_registers(task));
	if (!context->start) {
		if (worker || !(kind_of_call(nr) & EXECVE))
			return 0;
		arm(task, context);
		if (!context->start)
			return 0;
	}
	if (context->aggregate && !denied)
		return 0;
	/* The execve(2) itself is the workload's, as the first one of the container is. */
	if (!worker && !(kind_of_call(nr) & EXECVE) && is_entering(task, context))
		return 0;
	u16 flags = flags_of(task, cred, target, capability, known) | audit | (worker ? WORKER : 0);
	if (context->aggregate)
		return tally_check(ctx, id, context, tally_key(nr, flags, capability));
	u64 now = now_ns();

	struct site site = {.check = {.context = id, .nr = nr, .flags = flags, .capability = capability, .denied = denied}};
	u64 before = 0;
	struct counted *counted = lookup(&checks, &site.check);
	if (counted) {
		before = __sync_fetch_and_add(&counted->count, 1);
		counted->last = now - context->start;
	} else {
		struct counted first = {.count = 1, .first = now - context->start, .last = now - context->start};
		current_comm(first.comm, sizeof(first.comm));
		if (update(&checks, &site.check, &first, NOEXIST)) {
			counted = lookup(&checks, &site.check);
			if (counted)
				before = __sync_fetch_and_add(&counted->count, 1);
			else
				__sync_fetch_and_add(&context->lost_checks, 1);
		}
	}
	if (!denied && before >= 8 && before % 256)
		return 0;

	site.stack = stack_of(ctx, context);
	u64 *hits = lookup(&sites, &site);
	if (hits) {
		__sync_fetch_and_add(hits, 1);
	} else {
		u64 one = 1;
		if (update(&sites, &site, &one, NOEXIST)) {
			hits = lookup(&sites, &site);
			if (hits)
				__sync_fetch_and_add(hits, 1);
			else
				__sync_fetch_and_add(&context->lost_stacks, 1);
		}
	}
	if (!denied)
		return 0;

	struct denial denial = {.stack = site.stack, .flags = site.check.flags, .capability = capability};
	if (worker)
		keep_worker(id, context, task, &denial);
	else
		keep_denial(id, context, nr, &denial);
	return 0;
}

/* TP_PROTO(cred, target_ns, capable_ns, cap, ret); it does not show the options. */
SEC("tp_btf/cap_capable")
int check_tracepoint(u64 *ctx)
{
	return check(ctx, (struct cred *)ctx[0], (struct user_namespace *)ctx[1], ctx[3], (s32)ctx[4] != 0, 0, 1);
}

/*
 * cap_capable(cred, target_ns, cap, opts), and what it returned. Its callers in the same file, security/commoncap.c, have it compiled
 * into them: fexit and kprobe see neither the checks of memory overcommit, which are noise, nor those of capset(2).
 */
SEC("fexit/cap_capable")
int check_fexit(u64 *ctx)
{
	u16 audit = AUDIT_KNOWN | ((u32)ctx[3] & OPTION_NOAUDIT ? SILENT : 0);
	return check(ctx, (struct cred *)ctx[0], (struct user_namespace *)ctx[1], ctx[2], (s32)ctx[4] != 0, audit, 1);
}

/* Only what is watched goes on to the return probe. */
SEC("kprobe/cap_capable")
int check_enter(struct pt_regs *registers)
{
	struct entered entered = {};
	u64 thread = pid_tgid();
	u64 id = 0;
	struct context *context = context_of(current_task(), &id);
	if (!context || context->ended)
		return 0;
	entered.cred = (struct cred *)PARAMETER_1(registers);
	entered.target = (struct user_namespace *)PARAMETER_2(registers);
	entered.capability = PARAMETER_3(registers);
	entered.options = OPTIONS(registers);
	/* A check makes no check: what is still there has not been seen to return, as when the kernel has no return probe to spare. */
	if (lookup(&entries, &thread))
		__sync_fetch_and_add(&context->lost_checks, 1);
	if (update(&entries, &thread, &entered, 0))
		__sync_fetch_and_add(&context->lost_checks, 1);
	return 0;
}

SEC("kretprobe/cap_capable")
int check_leave(struct pt_regs *registers)
{
	u64 thread = pid_tgid();
	struct entered *found = lookup(&entries, &thread);
	if (!found)
		return 0;
	struct entered entered = *found;
	delete(&entries, &thread);
	u16 audit = AUDIT_KNOWN | (entered.options & OPTION_NOAUDIT ? SILENT : 0);
	return check(registers, entered.cred, entered.target, entered.capability, (s32)RETURNED(registers) != 0, audit, 0);
}

/* The family and protocol of the socket behind a descriptor. */
INLINE void describe_socket(struct task_struct *task, u64 fd, struct call *call)
{
	struct fdtable *table = task->files->fdt;
	if (fd >= READ(0, table, max_fds))
		return;
	struct file *file = 0;
	struct file **files = READ(0, table, fd);
	read_kernel(&file, sizeof(file), files + fd);
	if (!file)
		return;
	struct inode *inode = READ(0, file, f_inode);
	if ((READ(0, inode, i_mode) & S_IFMT) != S_IFSOCK)
		return;
	struct socket *socket = READ(0, file, private_data);
	struct sock *sock = READ(0, socket, sk);
	call->family = READ(0, sock, __sk_common.skc_family);
	call->protocol = READ(0, sock, sk_protocol);
}

INLINE void read_path(struct call *call, u32 place, u64 pointer)
{
	long length = read_user_string(call->texts[place], TEXT, (void *)pointer);
	call->lengths[place] = length > 0 ? length - 1 : 0;
}

INLINE void read_bytes(struct call *call, u32 place, u64 pointer, u64 length)
{
	u32 size = length > 128 ? 128 : length;
	if (!read_user(call->texts[place], size, (void *)pointer))
		call->lengths[place] = size;
}

/* The first part of a struct user_msghdr. */
struct message {
	u64 name;
	u32 name_length, unused;
	u64 parts;
	u64 count;
};

struct part {
	u64 base, length;
};

INLINE void read_message(struct call *call, u64 pointer)
{
	struct message message = {};
	struct part part = {};
	if (read_user(&message, sizeof(message), (void *)pointer))
		return;
	if (message.name && message.name_length)
		read_bytes(call, 1, message.name, message.name_length);
	if (message.count && !read_user(&part, sizeof(part), (void *)message.parts))
		read_bytes(call, 0, part.base, part.length);
}

INLINE void read_detail(struct task_struct *task, struct call *call, u32 kind)
{
	switch (kind) {
	case PATH_0:
		return read_path(call, 0, call->arguments[0]);
	case PATH_1:
		return read_path(call, 0, call->arguments[1]);
	case PATH_4:
		return read_path(call, 0, call->arguments[4]);
	case PATHS_0_1:
		read_path(call, 0, call->arguments[0]);
		return read_path(call, 1, call->arguments[1]);
	case PATHS_1_0:
		read_path(call, 0, call->arguments[1]);
		return read_path(call, 1, call->arguments[0]);
	case PATHS_0_2:
		read_path(call, 0, call->arguments[0]);
		return read_path(call, 1, call->arguments[2]);
	case PATHS_1_3:
		read_path(call, 0, call->arguments[1]);
		return read_path(call, 1, call->arguments[3]);
	case ADDRESS:
		describe_socket(task, call->arguments[0], call);
		return read_bytes(call, 0, call->arguments[1], call->arguments[2]);
	case SEND_BUFFER:
		describe_socket(task, call->arguments[0], call);
		if (call->arguments[4])
			read_bytes(call, 1, call->arguments[4], call->arguments[5]);
		return read_bytes(call, 0, call->arguments[1], call->arguments[2]);
	case SEND_MESSAGE:
		describe_socket(task, call->arguments[0], call);
		return read_message(call, call->arguments[1]);
	case SETS:
		read_bytes(call, 0, call->arguments[0], 8);
		return read_bytes(call, 1, call->arguments[1], 24);
	}
}

/* Returns whether the call is to be kept, and counts it among those alike. */
INLINE struct repeated *among_alike(u64 id, struct call *call, int *keep)
{
	struct alike alike = {.context = id, .nr = call->nr, .result = call->result < 0 ? call->result : 0};
	for (u32 place = 0; place < DENIALS; place++) {
		if (place >= call->count)
			break;
		alike.stacks = alike.stacks * 31 + call->denied[place].stack;
		alike.capabilities = alike.capabilities * 41 + call->denied[place].capability + 1;
	}
	struct repeated *repeated = lookup(&alikes, &alike);
	if (!repeated) {
		struct repeated none = {};
		update(&alikes, &alike, &none, NOEXIST);
		repeated = lookup(&alikes, &alike);
	}
	u64 before = repeated ? __sync_fetch_and_add(&repeated->count, 1) : 0;
	*keep = before < (call->result < 0 ? ALIKE_REFUSED : ALIKE_OTHER);
	return repeated;
}

/* TP_PROTO(regs, ret) */
SEC("tp_btf/sys_exit")
int call_returned(u64 *ctx)
{
	struct pt_regs *registers = (struct pt_regs *)ctx[0];
	s64 result = ctx[1];
	u32 zero = 0;
	u64 *count = lookup(&refusals, &zero);
	int is_refused = result == -EPERM || result == -EACCES || result == -EROFS;
	if (!is_refused && count && !*count)
		return 0;
	u64 thread = pid_tgid();
	struct refusal *refusal = lookup(&refused, &thread);
	if (!refusal && !is_refused)
		return 0;

	struct task_struct *task = current_task();
	u32 nr = number_of_call(registers);
	u64 id = 0, number = 0;
	int keep = 0;
	struct context *context = 0;
	struct repeated *repeated = 0;
	struct call *call = lookup(&call_room, &zero);
	if (!call)
		return 0;
	call->count = 0;
	if (refusal) {
		/* Of a page fault between two calls, whose number is none: nothing was refused. */
		if (refusal->nr == nr) {
			id = refusal->context;
			context = lookup(&contexts, &id);
			call->count = refusal->count;
			for (u32 place = 0; place < DENIALS; place++)
				call->denied[place] = refusal->denied[place];
		}
		forget_refusal(thread);
	}
	if (!context) {
		if (!is_refused)
			return 0;
		context = context_of(task, &id);
	}
	if (!context || context->ended)
		return 0;
	u32 kind = nr & COMPAT ? 0 : kind_of_call(nr);
	if (kind & EXECVE)
		arm(task, context);
	if (!context->start || context->aggregate)
		return 0;
	if (!(kind & EXECVE) && is_entering(task, context))
		return 0;

	call->nr = nr;
	call->result = result;
	repeated = among_alike(id, call, &keep);
	if (!keep)
		return 0;
	describe_task(task, context, call);
	ARGUMENTS(registers, call->arguments);
	read_detail(task, call, kind & KIND);
	if (keep_call(id, context, call, &number) && repeated)
		repeated->last = number;
	return 0;
}

/* TP_PROTO(task, old_pid, bprm) */
SEC("tp_btf/sched_process_exec")
int program_executed(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	u64 id = 0;
	struct context *context = context_of(task, &id);
	if (context && !context->ended)
		arm(task, context);
	return 0;
}

/* Notes the end. An aggregate outlives it, and the number of its mount namespace may be another one's at once. */
INLINE void end(u64 id, struct context *context)
{
	context->ended = now_ns();
	if (!context->aggregate)
		return;
	u32 key = context->mounts;
	u64 *found = lookup(&mounts, &key);
	if (found && *found == id)
		delete(&mounts, &key);
}

/* TP_PROTO(task) */
SEC("tp_btf/sched_process_exit")
int process_ended(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	u64 thread = pid_tgid();
	forget_refusal(thread);
	delete(&entries, &thread);
	if (task->signal->live.counter)
		return 0;
	u64 id = 0;
	struct context *context = context_of(task, &id);
	if (!context)
		return 0;
	/* Its mount namespace's number may have been given to another one since. */
	if (context->ended && task->start_time > context->ended)
		return 0;
	if (!context->ended && number_in(task->group_leader, context->observer) == context->init)
		end(id, context);
	if (!context->start || context->aggregate)
		return 0;
	struct ending ending = {.context = id};
	credentials_of(task->cred, &ending.credentials);
	read_kernel(ending.comm, sizeof(ending.comm), &task->group_leader->comm);
	ending.no_new_privileges = task->atomic_flags & 1;
	u64 *count = lookup(&endings, &ending);
	if (count) {
		__sync_fetch_and_add(count, 1);
	} else {
		u64 one = 1;
		if (update(&endings, &ending, &one, NOEXIST)) {
			count = lookup(&endings, &ending);
			if (count)
				__sync_fetch_and_add(count, 1);
			else
				__sync_fetch_and_add(&context->lost_calls, 1);
		}
	}
	return 0;
}
