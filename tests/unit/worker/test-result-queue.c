/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/result-queue.h"

#include <sys/stat.h>

#include "model/spool.h"
#include "worker/spool-writer.h"

static void push(ResultQueue *queue, uint64_t task)
{
    TaskResult result = {
        .task = task, .fence = task * 10, .outcome = OUTCOME_EXITED, .stderr_tail = g_bytes_new("x", 1)
    };

    result_queue_push(queue, &result);
    g_assert_null(result.stderr_tail);
}

static char *unsent(const ResultQueue *queue)
{
    GString *text = g_string_new(NULL);

    for (const GList *item = result_queue_unsent(queue); item; item = item->next)
        g_string_append_printf(text, "%d ", (int) ((const TaskResult *) item->data)->task);
    return g_string_free(text, FALSE);
}

#define assert_unsent(queue, expected)                                                                       \
    do {                                                                                                     \
        g_autofree char *found = unsent(queue);                                                              \
        g_assert_cmpstr(found, ==, expected);                                                                \
    } while (0)

static void test_groups(void)
{
    g_autoptr(ResultQueue) queue = result_queue_new();

    for (uint64_t i = 1; i <= 5; i++)
        push(queue, i);
    result_queue_sent(queue, 2, 1);
    result_queue_sent(queue, 1, 2);
    assert_unsent(queue, "4 5 ");
    g_assert_cmpuint(result_queue_length(queue), ==, 5);
    g_assert_cmpuint(result_queue_unsent_length(queue), ==, 2);
    result_queue_acknowledged(queue, 2); /* out of order */
    g_assert_cmpuint(result_queue_length(queue), ==, 4);
    result_queue_acknowledged(queue, 7); /* nobody's */
    g_assert_cmpuint(result_queue_length(queue), ==, 4);
    push(queue, 6);
    result_queue_unsend(queue);
    assert_unsent(queue, "1 2 4 5 6 ");
    result_queue_acknowledged(queue, 1); /* late: what is unsent again stays */
    assert_unsent(queue, "1 2 4 5 6 ");
    result_queue_sent(queue, 5, 3);
    result_queue_acknowledged(queue, 3);
    g_assert_cmpuint(result_queue_length(queue), ==, 0);
}

static void test_spool(void)
{
    g_autoptr(ResultQueue) queue = result_queue_new();
    g_autofree char *top = g_dir_make_tmp("parexec-spool-XXXXXX", NULL),
                    *directory = g_build_filename(top, "a", "spool", NULL);
    g_autofree char *path = g_build_filename(directory, "w7", NULL), *text = NULL;
    g_auto(GStrv) lines = NULL;
    TaskResult result;
    struct stat st;

    g_assert_cmpint(spool_write(directory, "w7", queue), ==, 0);
    g_assert_false(g_file_test(directory, G_FILE_TEST_EXISTS)); /* nothing to say: no file */
    push(queue, 1);
    push(queue, 2);
    push(queue, 3);
    result_queue_sent(queue, 1, 1); /* sent, but not acknowledged: it counts */
    g_assert_cmpint(spool_write(directory, "w7", queue), ==, 0);
    g_assert_cmpint(spool_write(directory, "w7", queue), ==, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
    lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 4); /* and nothing after the last newline */
    g_assert_cmpstr(lines[3], ==, "");
    for (uint64_t i = 0; i < 3; i++) {
        g_assert_cmpint(spool_parse_line(lines[i], &result), ==, 0);
        g_assert_cmpuint(result.task, ==, i + 1);
        g_assert_cmpuint(result.fence, ==, (i + 1) * 10);
    }
    (void) unlink(path);
    (void) rmdir(directory);
    g_assert_cmpint(g_file_set_contents(directory, "a file", -1, NULL), ==, TRUE);
    g_assert_cmpint(spool_write(directory, "w7", queue), <, 0);
    (void) unlink(directory);
    g_free(g_steal_pointer(&path));
    path = g_build_filename(top, "a", NULL);
    (void) rmdir(path);
    (void) rmdir(top);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/result-queue/groups", test_groups);
    g_test_add_func("/spool-writer/spool", test_spool);
    return g_test_run();
}
