/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/task-output.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/parse-util.h"

typedef struct Fixture {
    char *top, *directory;
    OutputStore *store;
} Fixture;

static void set_up(Fixture *f, const void *data)
{
    f->top = g_dir_make_tmp("parexec-output-XXXXXX", NULL);
    f->directory = g_build_filename(f->top, "output", NULL);
    f->store = output_store_new(f->directory);
}

static void run_rm(const char *path)
{
    const char *const argv[] = { "rm", "-rf", "--", path, NULL };

    g_assert_true(
        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void tear_down(Fixture *f, const void *data)
{
    (void) output_store_free(f->store);
    run_rm(f->top);
    g_free(f->directory);
    g_free(f->top);
}

static char *path_of(const Fixture *f, const char *rest)
{
    return g_build_filename(f->directory, rest, NULL);
}

static void test_file(Fixture *f, const void *data)
{
    const OutputName name = { .task = 20017, .attempt = 3, .stream = STREAM_STDERR };
    g_autofree char *path = path_of(f, "2/20017.3.err"), *folder = path_of(f, "2");
    _cleanup_close_ int fd = -EBADF;
    OutputPlace place = { 0 };
    uint64_t dropped = 0;
    struct stat st;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
    g_assert_cmpint(stat(folder, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
    g_assert_true(fcntl(fd, F_GETFL) & O_APPEND);
    g_assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    g_assert_cmpint(write(fd, "abc", 3), ==, 3);
    output_store_settle(f->store, &name, fd, &place, &dropped);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 3);
    close_fd(fd);
    /* an attempt made again begins anew */
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 0);
    output_store_settle(f->store, &name, fd, &place, &dropped);
    g_assert_cmpint(stat(path, &st), <, 0);
}

static void test_owner(Fixture *f, const void *data)
{
    const OutputName name = { .task = 1, .attempt = 1, .stream = STREAM_STDOUT };
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (geteuid() != 0) {
        g_test_skip("only root gives files away");
        return;
    }
    g_assert_cmpint(output_store_open(f->store, &name, 1234, 4321, &fd), ==, 0);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpuint(st.st_uid, ==, 1234);
    g_assert_cmpuint(st.st_gid, ==, 4321);
}

/* The folder may be removed by whoever cleans up, between two tasks. */
static void test_removed_folder(Fixture *f, const void *data)
{
    OutputName name = { .task = 5, .attempt = 1, .stream = STREAM_STDOUT };
    g_autofree char *path = path_of(f, "0/6.1.out");
    _cleanup_close_ int first = -EBADF, second = -EBADF;
    OutputPlace place = { 0 };
    uint64_t dropped = 0;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &first), ==, 0);
    run_rm(f->directory);
    output_store_settle(f->store, &name, first, &place, &dropped);
    name.task = 6;
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &second), ==, 0);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_obstacle(Fixture *f, const void *data)
{
    const OutputName name = { .task = 7, .attempt = 1, .stream = STREAM_STDOUT };
    g_autofree char *folder = path_of(f, "0"), *path = path_of(f, "0/7.1.out"),
                    *victim = g_build_filename(f->top, "victim", NULL);
    g_autofree char *text = NULL;
    int fd = -7;

    g_assert_true(g_file_set_contents(f->directory, "a file", -1, NULL));
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, -ENOTDIR);
    (void) unlink(f->directory);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(victim, "keep", -1, NULL));
    g_assert_cmpint(symlink(victim, path), ==, 0); /* is not followed */
    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, -ELOOP);
    g_assert_cmpint(fd, ==, -7);
    g_assert_true(g_file_get_contents(victim, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "keep");
}

static void test_tail(Fixture *f, const void *data)
{
    const OutputName name = { .task = 8, .attempt = 1, .stream = STREAM_STDERR };
    g_autofree char *long_text = g_strnfill(STDERR_TAIL_BYTES, 'x');
    g_autoptr(GBytes) tail = NULL;
    _cleanup_close_ int fd = -EBADF;

    g_assert_cmpint(output_store_open(f->store, &name, getuid(), getgid(), &fd), ==, 0);
    g_assert_null(output_tail(fd));
    g_assert_cmpint(write(fd, "end", 3), ==, 3);
    tail = output_tail(fd);
    g_assert_cmpmem(g_bytes_get_data(tail, NULL), g_bytes_get_size(tail), "end", 3);
    g_bytes_unref(g_steal_pointer(&tail));
    g_assert_cmpint(write(fd, long_text, STDERR_TAIL_BYTES - 1), ==, STDERR_TAIL_BYTES - 1);
    tail = output_tail(fd);
    g_assert_cmpuint(g_bytes_get_size(tail), ==, STDERR_TAIL_BYTES);
    g_assert_cmpmem(g_bytes_get_data(tail, NULL), 2, "dx", 2);
}

/* ------------------------------------------------------------------ packs and limits */

#define MAX_BYTES UINT64_C(65536)

typedef struct Packing {
    sd_event *event;
    OutputName name;
    OutputPlace place;
    uint64_t dropped;
    int fd;
} Packing;

static void packing_begin(Fixture *f, Packing *p, uint64_t task)
{
    *p = (Packing) { .name = { .task = task, .attempt = 2, .stream = STREAM_STDOUT }, .fd = -EBADF };
    g_assert_cmpint(sd_event_new(&p->event), >=, 0);
    g_assert_cmpint(output_store_attach(f->store, p->event, "w7"), >=, 0);
    g_assert_cmpint(output_store_open(f->store, &p->name, getuid(), getgid(), &p->fd), ==, 0);
    output_store_limit(f->store, p->fd, MAX_BYTES);
}

static void packing_write(Packing *p, size_t size, char what)
{
    g_autofree char *text = g_strnfill(size, what);

    g_assert_cmpint(write(p->fd, text, size), ==, (ssize_t) size);
}

static void packing_settle(Fixture *f, Packing *p)
{
    output_store_settle(f->store, &p->name, p->fd, &p->place, &p->dropped);
    p->fd = close_fd(p->fd);
}

static void packing_end(Fixture *f, Packing *p)
{
    f->store = output_store_free(f->store); /* before its loop */
    close_fd(p->fd);
    p->event = sd_event_unref(p->event);
}

static void settle_text(Fixture *f, Packing *p, uint64_t task, StdStream stream, const char *text)
{
    p->name = (OutputName) { .task = task, .attempt = 1, .stream = stream };
    p->place = (OutputPlace) { 0 };
    g_assert_cmpint(output_store_open(f->store, &p->name, getuid(), getgid(), &p->fd), ==, 0);
    g_assert_cmpint(write(p->fd, text, strlen(text)), ==, (ssize_t) strlen(text));
    packing_settle(f, p);
}

static void test_pack(Fixture *f, const void *data)
{
    g_autofree char *pack = path_of(f, "0/w7.pack"), *own = path_of(f, "0/4.1.err"), *text = NULL;
    Packing p;
    size_t length;

    packing_begin(f, &p, 3);
    settle_text(f, &p, 3, STREAM_STDOUT, "first");
    g_assert_true(p.place.packed);
    settle_text(f, &p, 4, STREAM_STDERR, "second\n");
    g_assert_true(p.place.packed);
    g_assert_cmpuint(p.place.size, ==, 7);
    g_assert_cmpuint(p.dropped, ==, 0);
    g_assert_false(g_file_test(own, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_get_contents(pack, &text, &length, NULL));
    g_assert_cmpstr(text, ==, "parexec-output 3 1 out 5\nfirstparexec-output 4 1 err 7\nsecond\n");
    g_assert_cmpmem(text + p.place.offset, p.place.size, "second\n", 7);
    packing_end(f, &p);
    /* the next worker of that name, if there ever were one, goes on behind */
    f->store = output_store_new(f->directory);
    packing_begin(f, &p, 5);
    packing_settle(f, &p);
    settle_text(f, &p, 5, STREAM_STDOUT, "x");
    g_assert_cmpuint(p.place.offset, ==, length + strlen("parexec-output 5 1 out 1\n"));
    packing_end(f, &p);
}

/* Who cleans up may remove a pack that is open. */
static void test_removed_pack(Fixture *f, const void *data)
{
    g_autofree char *pack = path_of(f, "0/w7.pack"), *text = NULL;
    Packing p;

    packing_begin(f, &p, 1);
    packing_settle(f, &p);
    settle_text(f, &p, 3, STREAM_STDOUT, "first");
    g_assert_cmpint(unlink(pack), ==, 0);
    settle_text(f, &p, 4, STREAM_STDOUT, "second");
    g_assert_true(g_file_get_contents(pack, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "parexec-output 4 1 out 6\nsecond");
    packing_end(f, &p);
}

static void test_pack_size(Fixture *f, const void *data)
{
    g_autofree char *large = path_of(f, "0/2.2.out");
    Packing p;

    packing_begin(f, &p, 1);
    packing_write(&p, OUTPUT_PACKED_BYTES, 'a');
    packing_settle(f, &p);
    g_assert_true(p.place.packed);
    packing_end(f, &p);
    f->store = output_store_new(f->directory);
    packing_begin(f, &p, 2);
    packing_write(&p, OUTPUT_PACKED_BYTES + 1, 'a');
    packing_settle(f, &p);
    g_assert_false(p.place.packed);
    g_assert_true(g_file_test(large, G_FILE_TEST_EXISTS));
    packing_end(f, &p);
}

/* A task that was silent for long ends: its output is as old as its end. */
static void test_age(Fixture *f, const void *data)
{
    static const struct timespec old[] = { { 1000000000, 0 }, { 1000000000, 0 } };
    g_autofree char *path = path_of(f, "0/14.2.out");
    struct stat st;
    Packing p;

    packing_begin(f, &p, 14);
    packing_write(&p, OUTPUT_PACKED_BYTES + 1, 'a');
    g_assert_cmpint(futimens(p.fd, old), ==, 0);
    packing_settle(f, &p);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mtim.tv_sec, >, 1500000000);
    packing_end(f, &p);
}

/* Head and tail are kept to the byte, and are what was written there. */
static void test_limit(Fixture *f, const void *data)
{
    g_autofree char *path = path_of(f, "0/9.2.out"), *text = NULL;
    uint64_t total = 0;
    gsize size;
    Packing p;

    packing_begin(f, &p, 9);
    for (char c = 'a'; c <= 'z'; c++, total += 10007)
        packing_write(&p, 10007, c);
    packing_settle(f, &p);
    g_assert_false(p.place.packed);
    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    g_assert_cmpuint(p.dropped, ==, total - MAX_BYTES);
    g_autofree char *dropped = format_bytes(p.dropped), *note = g_strdup_printf("\n[parexec: %s dropped here]\n", dropped);
    size_t note_size = strlen(note);
    g_assert_cmpuint(size, ==, MAX_BYTES + note_size);
    g_assert_cmpmem(text + MAX_BYTES / 2, note_size, note, note_size);
    for (uint64_t i = 0; i < size; i++) {
        uint64_t at = i < MAX_BYTES / 2 ? i : total - (size - i);

        if (i == MAX_BYTES / 2)
            i += note_size;
        if (i > MAX_BYTES / 2)
            at = total - (size - i);
        if (text[i] != (char) ('a' + at / 10007))
            g_error("byte %" G_GUINT64_FORMAT " is %c", i, text[i]);
    }
    packing_end(f, &p);
}

static void run_loop(Packing *p, uint64_t usec)
{
    uint64_t end = (uint64_t) g_get_monotonic_time() + usec, now;

    while ((now = (uint64_t) g_get_monotonic_time()) < end)
        g_assert_cmpint(sd_event_run(p->event, end - now), >=, 0);
}

static uint64_t bytes_on_disk(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return (uint64_t) st.st_blocks * 512;
}

static bool has_holes(int fd) /* can they be made here? */
{
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) >= 0;
}

static void test_hole_while_running(Fixture *f, const void *data)
{
    g_autofree char *path = path_of(f, "0/10.2.out");
    struct stat st;
    Packing p;

    packing_begin(f, &p, 10);
    if (!has_holes(p.fd)) {
        g_test_skip("no holes can be made in files here");
        packing_end(f, &p);
        return;
    }
    packing_write(&p, 3000000, 'x');
    run_loop(&p, 250 * USEC_PER_MSEC);
    g_assert_cmpuint(bytes_on_disk(p.fd), <=, MAX_BYTES + 3 * 4096);
    packing_write(&p, 3000000, 'y');
    run_loop(&p, 500 * USEC_PER_MSEC);
    g_assert_cmpuint(bytes_on_disk(p.fd), <=, MAX_BYTES + 3 * 4096);
    g_assert_cmpint(lseek(p.fd, 0, SEEK_HOLE), ==, MAX_BYTES / 2);
    packing_settle(f, &p);
    g_assert_cmpuint(p.dropped, ==, 6000000 - MAX_BYTES);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpuint((uint64_t) st.st_size, <, MAX_BYTES + 64); /* and the line that tells of what is dropped */
    packing_end(f, &p);
}

/* The task takes its file away from under the hole. */
static void test_truncating_task(Fixture *f, const void *data)
{
    Packing p;

    packing_begin(f, &p, 11);
    packing_write(&p, 500000, 'x');
    run_loop(&p, 150 * USEC_PER_MSEC);
    g_assert_cmpint(ftruncate(p.fd, 5), ==, 0);
    packing_write(&p, 5, 'y');
    packing_settle(f, &p);
    g_assert_cmpuint(p.dropped, ==, 0);
    g_assert_true(p.place.packed);
    g_assert_cmpuint(p.place.size, ==, 10);
    packing_end(f, &p);
}

/* Into the hole: what was dropped of what is left counts. */
static void test_truncated_in_hole(Fixture *f, const void *data)
{
    g_autofree char *path = path_of(f, "0/12.2.out"), *text = NULL;
    gsize size;
    Packing p;

    packing_begin(f, &p, 12);
    if (!has_holes(p.fd)) {
        g_test_skip("no holes can be made in files here");
        packing_end(f, &p);
        return;
    }
    packing_write(&p, 500000, 'x');
    run_loop(&p, 150 * USEC_PER_MSEC);
    g_assert_cmpint(ftruncate(p.fd, 40000), ==, 0);
    packing_write(&p, 1000, 'y');
    packing_settle(f, &p);
    g_assert_true(g_file_get_contents(path, &text, &size, NULL));
    g_assert_cmpuint(size, >=, MAX_BYTES / 2 + 1000);
    g_assert_cmpuint(size + p.dropped, >, 41000);
    g_assert_cmpuint(size + p.dropped, <, 41000 + 64); /* and the line that tells of what is dropped */
    g_assert_cmpuint(p.dropped, >=, 4096);
    g_assert_cmpint(text[MAX_BYTES / 2 - 1], ==, 'x');
    g_assert_cmpint(text[size - 1000], ==, 'y');
    g_assert_cmpint(text[size - 1], ==, 'y');
    packing_end(f, &p);
}

/* A reader that has the file open reads on in what it was. */
static void test_reader(Fixture *f, const void *data)
{
    g_autofree char *path = path_of(f, "0/13.2.out");
    _cleanup_close_ int reader = -EBADF;
    char last[4];
    Packing p;

    packing_begin(f, &p, 13);
    reader = open(path, O_RDONLY | O_CLOEXEC);
    packing_write(&p, 300000, 'x');
    g_assert_cmpint(write(p.fd, "end", 3), ==, 3);
    packing_settle(f, &p);
    g_assert_cmpint(pread(reader, last, sizeof last, 300000), ==, 3);
    g_assert_cmpmem(last, 3, "end", 3);
    packing_end(f, &p);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/task-output/file", Fixture, NULL, set_up, test_file, tear_down);
    g_test_add("/task-output/owner", Fixture, NULL, set_up, test_owner, tear_down);
    g_test_add("/task-output/removed-folder", Fixture, NULL, set_up, test_removed_folder, tear_down);
    g_test_add("/task-output/obstacle", Fixture, NULL, set_up, test_obstacle, tear_down);
    g_test_add("/task-output/tail", Fixture, NULL, set_up, test_tail, tear_down);
    g_test_add("/task-output/pack", Fixture, NULL, set_up, test_pack, tear_down);
    g_test_add("/task-output/removed-pack", Fixture, NULL, set_up, test_removed_pack, tear_down);
    g_test_add("/task-output/pack-size", Fixture, NULL, set_up, test_pack_size, tear_down);
    g_test_add("/task-output/age", Fixture, NULL, set_up, test_age, tear_down);
    g_test_add("/task-output/limit", Fixture, NULL, set_up, test_limit, tear_down);
    g_test_add("/task-output/hole-while-running", Fixture, NULL, set_up, test_hole_while_running, tear_down);
    g_test_add("/task-output/truncating-task", Fixture, NULL, set_up, test_truncating_task, tear_down);
    g_test_add("/task-output/truncated-in-hole", Fixture, NULL, set_up, test_truncated_in_hole, tear_down);
    g_test_add("/task-output/reader", Fixture, NULL, set_up, test_reader, tear_down);
    return g_test_run();
}
