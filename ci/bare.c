/*
 * What ci/bare.sh cannot do from a shell.
 *
 *   bare deny PROGRAM ARGUMENT...   runs a program as a container's seccomp filter does: ptrace, mounts,
 *                                   namespaces and performance counters are EPERM, clone3 is ENOSYS
 *   bare probe                      0 if this process is under such a filter; else names a call that is not
 *   bare press MEGABYTES            takes memory until only so much is available, says so, and keeps it so
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE AUDIT_ARCH_RISCV64
#else
#error "the filter does not know this processor: add its AUDIT_ARCH constant"
#endif

#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The next instruction if it is this call, else the one after it. */
#define IF(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1)

static const unsigned namespaces = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                   CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

static int deny(char **program) {
    struct sock_filter filter[] = {
        /* A program of 32 bits has other numbers for its calls: it is let through. */
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(nr),
        IF(SYS_ptrace), REFUSE(EPERM),
        IF(SYS_process_vm_readv), REFUSE(EPERM),
        IF(SYS_process_vm_writev), REFUSE(EPERM),
        IF(SYS_unshare), REFUSE(EPERM),
        IF(SYS_setns), REFUSE(EPERM),
        IF(SYS_mount), REFUSE(EPERM),
        IF(SYS_umount2), REFUSE(EPERM),
        IF(SYS_pivot_root), REFUSE(EPERM),
        IF(SYS_fsopen), REFUSE(EPERM),
        IF(SYS_open_tree), REFUSE(EPERM),
        IF(SYS_move_mount), REFUSE(EPERM),
        IF(SYS_perf_event_open), REFUSE(EPERM),
        /* Its flags lie in memory, where no filter can look: libraries fall back to clone. */
        IF(SYS_clone3), REFUSE(ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, namespaces, 0, 1),
        REFUSE(EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog whole = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole)) {
        perror("bare: seccomp");
        return 1;
    }
    execvp(program[0], program);
    fprintf(stderr, "bare: %s: %s\n", program[0], strerror(errno));
    return 1;
}

/* Each call with arguments for which it fails otherwise, or does nothing. */
static int probe(void) {
    const struct {
        const char *name;
        long answer;
    } calls[] = {
        {"ptrace", syscall(SYS_ptrace, 0, 0, 0, 0) == -1 ? errno : 0},
        {"unshare", syscall(SYS_unshare, 0) == -1 ? errno : 0},
        {"mount", syscall(SYS_mount, NULL, NULL, NULL, 0, NULL) == -1 ? errno : 0},
        {"perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) == -1 ? errno : 0},
    };
    for (size_t call = 0; call < sizeof calls / sizeof *calls; call++) {
        if (calls[call].answer != EPERM) {
            printf("%s answers %s\n", calls[call].name, strerror((int)calls[call].answer));
            return 1;
        }
    }
    return 0;
}

static long available(void) {
    FILE *file = fopen("/proc/meminfo", "r");
    char line[128];
    long kilobytes = -1;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %ld", &kilobytes) == 1) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return kilobytes / 1024;
}

static int press(long reserve) {
    enum { MOST = 1 << 20, BLOCK = 16 }; /* megabytes */
    static void *blocks[MOST / BLOCK];
    size_t held = 0;
    int said = 0;
    /* If there is too little after all, this process is the one to go. */
    FILE *file = fopen("/proc/self/oom_score_adj", "w");
    if (file) {
        fputs("1000", file);
        fclose(file);
    }
    for (;;) {
        long left = available();
        if (left < 0) {
            fputs("bare: /proc/meminfo does not say what is available\n", stderr);
            return 1;
        }
        if (left > reserve + 2 * BLOCK && held < MOST / BLOCK) {
            void *block = mmap(NULL, BLOCK << 20, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
            if (block != MAP_FAILED) {
                blocks[held++] = block;
                continue;
            }
        } else if (left < reserve && held > 0) {
            munmap(blocks[--held], BLOCK << 20);
            continue;
        } else if (!said) {
            said = 1;
            puts("pressed");
            fflush(stdout);
        }
        usleep(20000);
    }
}

int main(int count, char **arguments) {
    if (count >= 3 && !strcmp(arguments[1], "deny")) {
        return deny(arguments + 2);
    }
    if (count == 2 && !strcmp(arguments[1], "probe")) {
        return probe();
    }
    if (count == 3 && !strcmp(arguments[1], "press") && atol(arguments[2]) > 0) {
        return press(atol(arguments[2]));
    }
    fputs("usage: bare deny PROGRAM ARGUMENT... | probe | press MEGABYTES\n", stderr);
    return 2;
}
