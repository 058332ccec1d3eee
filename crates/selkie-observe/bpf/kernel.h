/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the programs know of the kernel: helpers, the members of its types that are read, registers. Not for: what is done with them.
 *
 * There is no vmlinux.h: each type has only the members that are named here, and where they are is found out when it is loaded.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define KERNEL __attribute__((preserve_access_index))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6 };
enum { NO_PREALLOC = 1 };
enum { NOEXIST = 1 };

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const delete)(void *map, const void *key) = (void *)3;
static u64 (*const now_ns)(void) = (void *)5;
static u64 (*const pid_tgid)(void) = (void *)14;
static long (*const current_comm)(void *to, u32 size) = (void *)16;
static long (*const kernel_stack)(void *context, void *to, u32 size, u64 flags) = (void *)67;
static u64 (*const cgroup_id)(void) = (void *)80;
static long (*const read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*const read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*const read_user_string)(void *to, u32 size, const void *from) = (void *)114;
static long (*const read_kernel_string)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*const ancestor_cgroup_id)(int level) = (void *)123;
static long (*const seq_write)(void *seq, const void *from, u32 size) = (void *)127;
static struct task_struct *(*const current_task)(void) = (void *)158;
static long (*const task_registers)(struct task_struct *task) = (void *)175;

/* What is read of the kernel. */
struct ns_common {
	u32 inum;
} KERNEL;
struct mnt_namespace {
	struct ns_common ns;
} KERNEL;
struct pid_namespace {
	struct ns_common ns;
} KERNEL;
struct net {
	struct ns_common ns;
} KERNEL;
struct ipc_namespace {
	struct ns_common ns;
} KERNEL;
struct uts_namespace {
	struct ns_common ns;
} KERNEL;
struct cgroup_namespace {
	struct ns_common ns;
} KERNEL;
struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct ipc_namespace *ipc_ns;
	struct uts_namespace *uts_ns;
	struct cgroup_namespace *cgroup_ns;
} KERNEL;
struct upid {
	int nr;
	struct pid_namespace *ns;
} KERNEL;
struct pid {
	u32 level;
	struct upid numbers[1];
} KERNEL;
struct user_namespace {
	int level;
	struct ns_common ns;
} KERNEL;
typedef struct {
	u32 val;
} kuid_t;
typedef struct {
	u32 val;
} kgid_t;
/* Two words before Linux 6.3, one after; the same eight bytes. */
typedef struct {
	u64 val;
} kernel_cap_t;
struct cred {
	kuid_t uid, suid, euid, fsuid;
	kgid_t gid, sgid, egid, fsgid;
	u32 securebits;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
	struct user_namespace *user_ns;
} KERNEL;
typedef struct {
	int counter;
} atomic_t;
struct signal_struct {
	atomic_t live;
	int nr_threads;
} KERNEL;
struct inode {
	u16 i_mode;
} KERNEL;
struct qstr {
	const char *name;
} KERNEL;
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
} KERNEL;
struct vfsmount;
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} KERNEL;
struct fs_struct {
	struct path root;
} KERNEL;
struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
} KERNEL;
struct fdtable {
	u32 max_fds;
	struct file **fd;
} KERNEL;
struct files_struct {
	struct fdtable *fdt;
} KERNEL;
struct sock_common {
	u16 skc_family;
} KERNEL;
struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
} KERNEL;
struct socket {
	struct sock *sk;
} KERNEL;
struct mm_struct {
	struct file *exe_file;
} KERNEL;
struct seccomp {
	int mode;
	atomic_t filter_count;
} KERNEL;
struct kernfs_node {
	u64 id;
} KERNEL;
struct cgroup {
	struct kernfs_node *kn;
} KERNEL;
struct css_set {
	struct cgroup *dfl_cgrp;
} KERNEL;
struct task_struct {
	u32 flags, __state;
	int exit_state;
	s32 tgid;
	struct task_struct *real_parent;
	struct seccomp seccomp;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct fs_struct *fs;
	unsigned long atomic_flags;
	u64 start_time;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct cred *real_cred, *cred;
	char comm[16];
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
} KERNEL;

/* The object is of one architecture: this, and the names of the registers, are all that differs. */
#if defined(__TARGET_ARCH_x86_64)
struct pt_regs {
	unsigned long r10, r9, r8, cx, dx, si, di, cs, ax, orig_ax;
} KERNEL;
#define CALL(registers) ((registers)->orig_ax)
#define IS_COMPAT(registers) ((registers)->cs == 0x23)
#define ARGUMENTS(registers, to) \
	(to)[0] = (registers)->di, (to)[1] = (registers)->si, (to)[2] = (registers)->dx, (to)[3] = (registers)->r10, \
	(to)[4] = (registers)->r8, (to)[5] = (registers)->r9
#define PARAMETER_1(registers) ((registers)->di)
#define PARAMETER_2(registers) ((registers)->si)
#define PARAMETER_3(registers) ((registers)->dx)
#define RETURNED(registers) ((registers)->ax)
#define OPTIONS(registers) ((registers)->cx)
#elif defined(__TARGET_ARCH_aarch64)
struct pt_regs {
	u64 regs[31], sp, pc, pstate, orig_x0;
	s32 syscallno;
} KERNEL;
#define CALL(registers) ((registers)->syscallno)
#define IS_COMPAT(registers) (((registers)->pstate & 0x10) != 0)
#define ARGUMENTS(registers, to) \
	(to)[0] = (registers)->orig_x0, (to)[1] = (registers)->regs[1], (to)[2] = (registers)->regs[2], (to)[3] = (registers)->regs[3], \
	(to)[4] = (registers)->regs[4], (to)[5] = (registers)->regs[5]
#define PARAMETER_1(registers) ((registers)->regs[0])
#define PARAMETER_2(registers) ((registers)->regs[1])
#define PARAMETER_3(registers) ((registers)->regs[2])
#define RETURNED(registers) ((registers)->regs[0])
#define OPTIONS(registers) ((registers)->regs[3])
#else
#error "say for which architecture: -D__TARGET_ARCH_x86_64"
#endif
