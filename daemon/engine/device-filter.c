/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device controller of cgroup v2 is a program of the kernel's own machine, which is asked at each open. systemd's can only say
 * what is allowed, and would have to name every device that any task may ever want; so here is one that says what is not. Several
 * can be attached, and all must agree: systemd's stays what it is. */
#include "engine/device-filter.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/syscall.h>

#define TEST_INSNS 3U /* for each device */
#define ALLOW 1
#define DENY 0

/* Registers: 0 is the answer, 1 points to what is asked, 2 to 4 hold its parts. */
static struct bpf_insn insn_load(uint8_t to, int16_t offset)
{
    return (struct bpf_insn) { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = BPF_REG_1, .off = offset };
}

static struct bpf_insn insn_and(uint8_t to, int32_t value)
{
    return (struct bpf_insn) { .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = to, .imm = value };
}

static struct bpf_insn insn_jump_unless(uint8_t is, int32_t value, int16_t over)
{
    return (struct bpf_insn) { .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = is, .off = over, .imm = value };
}

static struct bpf_insn insn_answer(int32_t value)
{
    return (struct bpf_insn) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value };
}

static struct bpf_insn insn_exit(void)
{
    return (struct bpf_insn) { .code = BPF_JMP | BPF_EXIT };
}

static void add(GArray *program, struct bpf_insn insn)
{
    g_array_append_val(program, insn);
}

static GArray *make_program(const DeviceNumber *devices, size_t n)
{
    GArray *program = g_array_new(FALSE, FALSE, sizeof(struct bpf_insn));

    add(program, insn_answer(ALLOW));
    add(program, insn_load(BPF_REG_2, offsetof(struct bpf_cgroup_dev_ctx, access_type)));
    add(program, insn_and(BPF_REG_2, 0xffff));
    add(program, insn_load(BPF_REG_3, offsetof(struct bpf_cgroup_dev_ctx, major)));
    add(program, insn_load(BPF_REG_4, offsetof(struct bpf_cgroup_dev_ctx, minor)));
    add(program, insn_jump_unless(BPF_REG_2, BPF_DEVCG_DEV_CHAR, (int16_t) (n * (TEST_INSNS + 1))));
    for (size_t i = 0; i < n; i++) {
        add(program, insn_jump_unless(BPF_REG_3, (int32_t) devices[i].major, TEST_INSNS));
        add(program, insn_jump_unless(BPF_REG_4, (int32_t) devices[i].minor, TEST_INSNS - 1));
        add(program, insn_answer(DENY));
        add(program, insn_exit());
    }
    add(program, insn_exit());
    return program;
}

static int bpf_call(int command, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, command, attr, sizeof *attr);

    return r < 0 ? -errno : (int) r;
}

static int load_program(const DeviceNumber *devices, size_t n)
{
    g_autoptr(GArray) program = make_program(devices, n);
    union bpf_attr attr = { 0 };

    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uintptr_t) program->data;
    attr.insn_cnt = program->len;
    attr.license = (uintptr_t) "LGPL-2.1-or-later";
    return bpf_call(BPF_PROG_LOAD, &attr);
}

int device_filter_attach(const char *directory, const DeviceNumber *devices, size_t n)
{
    _cleanup_close_ int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    union bpf_attr attr = { 0 };

    if (group < 0)
        return -errno;
    if (n > DEVICE_FILTER_MAX)
        return -E2BIG;
    _cleanup_close_ int program = load_program(devices, n);
    if (program < 0)
        return program;
    attr.target_fd = (uint32_t) group;
    attr.attach_bpf_fd = (uint32_t) program;
    attr.attach_type = BPF_CGROUP_DEVICE;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    return bpf_call(BPF_PROG_ATTACH, &attr);
}

int device_filter_is_attached(const char *directory)
{
    _cleanup_close_ int group = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    union bpf_attr attr = { 0 };

    if (group < 0)
        return -errno;
    attr.query.target_fd = (uint32_t) group;
    attr.query.attach_type = BPF_CGROUP_DEVICE;
    int r = bpf_call(BPF_PROG_QUERY, &attr);
    return r < 0 ? r : attr.query.prog_cnt > 0;
}
