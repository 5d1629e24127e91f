/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows and attempts on the wire: what is there when it applies, and what is for root and the owner only. */
#include <string.h>

#include "bus/task-message.h"
#include "request-fixture.h"

static TaskResult failure(void)
{
    return (TaskResult){
        .outcome = OUTCOME_EXITED,
        .exit_status = 3,
        .end_usec = 9,
        .memory_peak_bytes = MEMORY_UNKNOWN,
        .stderr_tail = g_bytes_new_static("oh\0no", 5),
        .data = g_bytes_new_static("\x01\xff", 2),
        .note = g_strdup("the result was cut"),
        .dropped_bytes = { 0, 12, 34 },
    };
}

static TaskRow *row_new(void)
{
    TaskRow *row = g_new0(TaskRow, 1);
    AttemptRow *attempt = g_new0(AttemptRow, 1);

    row->spec = task_spec_new();
    row->spec->id = 17;
    row->spec->argv = g_bytes_new_static("secret", 7);
    row->spec->context = task_context_new();
    row->spec->context->cwd = g_bytes_new_static("/secret", 8);
    row->spec->context->policy.retries = 2;
    row->spec->class = g_strdup("model");
    row->spec->spent = 3;
    row->state = TASK_FAILED;
    row->queue = g_strdup("sims");
    row->not_before_usec = 77;
    row->result = failure();
    row->attempts = attempt_rows_new();
    attempt->attempt = 1;
    attempt->result = failure();
    g_ptr_array_add(row->attempts, attempt);
    return row;
}

static char *row_text(const TaskRow *row, bool private)
{
    g_autoptr(sd_bus_message) m = message_new_empty();

    g_assert_cmpint(task_message_append_row(m, row, private), >=, 0);
    message_turn(m);
    return message_text(m);
}

static char *attempts_text(const TaskRow *row, bool private)
{
    g_autoptr(sd_bus_message) m = message_new_empty();

    g_assert_cmpint(task_message_append_attempts(m, row, private), >=, 0);
    message_turn(m);
    return message_text(m);
}

static void has(const char *text, const char *snippet)
{
    if (!strstr(text, snippet))
        g_error("\"%s\" is not in \"%s\"", snippet, text);
}

static void has_not(const char *text, const char *snippet)
{
    if (strstr(text, snippet))
        g_error("\"%s\" is in \"%s\"", snippet, text);
}

static const char *const public_keys[] = {
    "'queue': <'sims'>",
    "'class': <'model'>",
    "'not-before': <uint64 77>",
    "'retries-spent': <uint32 2>",
    "'note': <'the result was cut'>",
    "'stdout-dropped': <uint64 12>",
    "'stderr-dropped': <uint64 34>",
};
static const char *const private_keys[] = {
    "'argv': <[[byte 0x73, 0x65, 0x63, 0x72, 0x65, 0x74]]>",
    "'stderr-tail': <[byte 0x6f, 0x68, 0x00, 0x6e, 0x6f]>",
    "'result': <[byte 0x01, 0xff]>",
};

static void test_row(void)
{
    g_autoptr(TaskRow) row = row_new();
    g_autofree char *of_owner = row_text(row, true), *of_others = row_text(row, false);

    for (size_t i = 0; i < G_N_ELEMENTS(public_keys); i++) {
        has(of_owner, public_keys[i]);
        has(of_others, public_keys[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(private_keys); i++)
        has(of_owner, private_keys[i]);
    has_not(of_others, "argv");
    has_not(of_others, "cwd");
    has_not(of_others, "stderr-tail");
    has_not(of_others, "'result'");
}

/* What does not apply is not there; of a success no last words are shown. */
static void test_plain_row(void)
{
    static const char *const keys[] = { "queue",          "class",       "not-before",
                                        "retries-spent",  "note",        "stdout-dropped",
                                        "stderr-dropped", "stderr-tail", "'result'" };
    g_autoptr(TaskRow) row = g_new0(TaskRow, 1);

    row->spec = task_spec_new();
    row->spec->argv = g_bytes_new_static("true", 5);
    row->spec->context = task_context_new();
    row->spec->context->cwd = g_bytes_new_static("/", 2);
    row->state = TASK_SUCCEEDED;
    row->result = (TaskResult){ .outcome = OUTCOME_EXITED, .stderr_tail = g_bytes_new_static("fine", 4) };
    g_autofree char *text = row_text(row, true);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        has_not(text, keys[i]);
}

static void test_attempts(void)
{
    g_autoptr(TaskRow) row = row_new();
    g_autofree char *of_owner = attempts_text(row, true), *of_others = attempts_text(row, false);

    has(of_owner, "'note': <'the result was cut'>");
    has(of_owner, "'stdout-dropped': <uint64 12>");
    has(of_owner, "'stderr-tail': <[byte 0x6f, 0x68, 0x00, 0x6e, 0x6f]>");
    has(of_others, "'stderr-dropped': <uint64 34>");
    has_not(of_others, "stderr-tail");
}

/* Those who listen to all changes are told nothing that is private, and no notes. */
static void test_change(void)
{
    TaskResult result = failure();
    g_autoptr(sd_bus_message) m = message_new_empty();
    const TaskChange change = { .task = 1, .batch = 2, .state = TASK_FAILED, .result = &result };

    g_assert_cmpint(task_message_append_change(m, &change), >=, 0);
    message_turn(m);
    g_autofree char *text = message_text(m);
    has(text, "'exit-status': <3>");
    has_not(text, "stderr-tail");
    has_not(text, "'result'");
    has_not(text, "note");
    task_result_done(&result);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-message/row", test_row);
    g_test_add_func("/task-message/plain-row", test_plain_row);
    g_test_add_func("/task-message/attempts", test_attempts);
    g_test_add_func("/task-message/change", test_change);
    return g_test_run();
}
