// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
/*
 * Hands out every process of the host, one record each: what /proc/PID/status and /proc/PID/ns say, without a file a process.
 *
 * An iterator (bpf_iter of the kernel's Documentation/bpf): whoever reads the pinned link gets the records, in the order of the pids.
 * A last one, of no process, says how many threads there were: by that a reader sees whether any were kept from it.
 *
 * Most of the time goes into waiting for memory: every structure of a process that is looked into costs.
 *
 * Not for: readers in a child PID or user namespace. Pids and ids are those of the initial ones.
 *
 * The layout is repeated in src/bpf/processes.rs. Needs Linux 5.15 (__state).
 */
#include "kernel.h"

enum { PF_KTHREAD = 0x200000 };
enum { NO_NEW_PRIVS = 1 << 0 };
/* TASK_REPORT, and what makes an idle one of an uninterruptible one: include/linux/sched.h. */
enum { REPORT = 0x7f, UNINTERRUPTIBLE = 0x2, NOLOAD = 0x400, RTLOCK_WAIT = 0x1000, FROZEN = 0x8000 };

struct record {
	u32 pid, parent;
	u32 uids[4], gids[4]; /* real, effective, saved, file system */
	u32 inner, levels;    /* its number in its own PID namespace; how many of those it is in */
	u64 inheritable, permitted, effective, bounding, ambient;
	u32 securebits;
	u8 no_new_privileges, seccomp, state, kernel_thread;
	u32 filters;
	u32 user, mount, pid_namespace, network, ipc, uts, cgroup_namespace;
	u64 cgroup;  /* of the unified hierarchy */
	u64 cgroups; /* the same for those, and only those, that are in the same cgroup of every hierarchy */
	u64 threads; /* of the last record only */
	char comm[16];
};

struct iterator {
	struct {
		void *seq;
		u64 session, number; /* of the last one seen, from 0 on */
	} *meta;
	struct task_struct *task;
};

/* Place of the letter in "RSDTtXZPI", as task_state_index() has it. */
INLINE u8 state_of(struct task_struct *task)
{
	u32 all = task->__state;
	u32 state = (all | task->exit_state) & REPORT;
	if (all & (RTLOCK_WAIT | FROZEN))
		state = UNINTERRUPTIBLE;
	else if ((all & (UNINTERRUPTIBLE | NOLOAD)) == (UNINTERRUPTIBLE | NOLOAD))
		return 8;
	u8 place = 0;
	for (u32 bit = 0; bit < 7; bit++)
		if (state & (1 << bit))
			place = bit + 1;
	return place;
}

SEC("iter/task")
int each_process(struct iterator *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task) {
		struct record last = {};
		last.threads = ctx->meta->number + 1;
		seq_write(ctx->meta->seq, &last, sizeof(last));
		return 0;
	}
	if (task->group_leader != task)
		return 0;

	struct record record = {};
	record.kernel_thread = (task->flags & PF_KTHREAD) != 0;
	record.pid = task->tgid;
	record.parent = task->real_parent->tgid;
	struct cred *cred = task->real_cred;
	record.uids[0] = cred->uid.val;
	record.uids[1] = cred->euid.val;
	record.uids[2] = cred->suid.val;
	record.uids[3] = cred->fsuid.val;
	record.gids[0] = cred->gid.val;
	record.gids[1] = cred->egid.val;
	record.gids[2] = cred->sgid.val;
	record.gids[3] = cred->fsgid.val;
	record.inheritable = cred->cap_inheritable.val;
	record.permitted = cred->cap_permitted.val;
	record.effective = cred->cap_effective.val;
	record.bounding = cred->cap_bset.val;
	record.ambient = cred->cap_ambient.val;
	record.securebits = cred->securebits;
	record.user = cred->user_ns->ns.inum;
	record.no_new_privileges = (task->atomic_flags & NO_NEW_PRIVS) != 0;
	record.seccomp = task->seccomp.mode;
	record.filters = task->seccomp.filter_count.counter;
	record.state = state_of(task);

	struct pid *pid = task->thread_pid;
	u32 level = pid->level & 31;
	record.levels = level + 1;
	if (!level) {
		/* As most are. */
		record.inner = pid->numbers[0].nr;
		record.pid_namespace = pid->numbers[0].ns->ns.inum;
	} else {
		struct upid number = {};
		read_kernel(&number, sizeof(number), (void *)&pid->numbers + level * sizeof(number));
		record.inner = number.nr;
		read_kernel(&record.pid_namespace, sizeof(u32), &number.ns->ns.inum);
	}

	struct nsproxy *spaces = task->nsproxy;
	record.mount = spaces->mnt_ns->ns.inum;
	record.network = spaces->net_ns->ns.inum;
	record.ipc = spaces->ipc_ns->ns.inum;
	record.uts = spaces->uts_ns->ns.inum;
	record.cgroup_namespace = spaces->cgroup_ns->ns.inum;
	record.cgroup = task->cgroups->dfl_cgrp->kn->id;
	record.cgroups = (u64)task->cgroups;
	read_kernel(record.comm, sizeof(record.comm), task->comm);
	seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
