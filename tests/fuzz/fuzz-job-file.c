/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job files. A refusal has a sentence that can be printed and leaves nothing; of what is taken every task comes once, at its
 * place, and behind all that it waits for. */
#include "fuzz-target.h"

#include "client/job-file.h"

const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("[{\"argv\":[\"true\"]}]"),
    FUZZ_SEED(
        "{\"tasks\":[{\"id\":\"a\",\"argv\":[\"x\"],\"after\":\"afterok:b\"},{\"id\":\"b\",\"argv\":[\"y\"]}]}"),
    FUZZ_SEED(
        "[{\"id\":\"a\",\"argv\":[\"x\"],\"array\":\"0-9\"},{\"argv\":[\"y\"],\"array\":\"0-9\",\"after\":[\"aftercorr:a\"]}]"),
    FUZZ_SEED(
        "{\"defaults\":{\"priority\":3,\"env\":{\"A\":\"b\"}},\"tasks\":[{\"argv\":[\"x\",\"\\u00fc\"],\"retries\":2,"
        "\"timeout\":\"5min\",\"memory-max\":\"2G\",\"tags\":[\"t\"],\"queue\":\"q\",\"hold\":true}]}"),
    FUZZ_SEED(
        "[{\"id\":\"a\",\"argv\":[\"x\"],\"after\":\"afterok:b\"},{\"id\":\"b\",\"argv\":[\"y\"],\"after\":\"afterok:a\"}]"),
    FUZZ_SEED("[{\"argv\":[\"x\"],\"name\":\"n\",\"after\":\"(afterok:1?exit=3:2),singleton\"}]"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static void check_file(const JobFile *file)
{
    g_autofree bool *seen = g_new0(bool, file->tasks->len + 1);
    uint64_t position = 0;

    g_assert_cmpuint(file->order->len, ==, file->tasks->len);
    for (guint i = 0; i < file->order->len; i++) {
        guint index = g_array_index(file->order, guint, i);
        g_assert_cmpuint(index, <, file->tasks->len);
        g_assert_false(seen[index]);
        seen[index] = true;
        const JobTask *task = file->tasks->pdata[index];
        g_assert_cmpuint(task->position, ==, position);
        for (guint k = 0; task->after.conditions && k < task->after.conditions->len; k++) {
            const Dependency *condition = &g_array_index(task->after.conditions, Dependency, k);
            g_assert_true(condition->target != TARGET_LOCAL || condition->id < position);
        }
        position += job_task_count(task);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *) data, size), *why = NULL;
    g_autoptr(JobFile) file = NULL;

    if (job_file_parse(text, size, &file, &why) >= 0) {
        g_assert_nonnull(file);
        check_file(file);
        return 0;
    }
    g_assert_null(file);
    g_assert_nonnull(why);
    g_assert_true(g_utf8_validate(why, -1, NULL));
    return 0;
}
