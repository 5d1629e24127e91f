/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What processes leave for one another in pipes and files: the launch record and the lines of the spool. A failure
 * leaves no trace; what was accepted comes back the same after it was written and read once more. */
#include "fuzz-target.h"

#include <string.h>

#include "model/launch-record.h"
#include "model/spool.h"

const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("parexec-launch-1\0w1\0000123456789abcdef0123456789abcdef\0/run/parexec/worker.sock\0"
              "/var/lib/parexec/output\0/var/lib/parexec/spool\0004\00010000000\00060000000\0001\0000\0"),
    FUZZ_SEED(
        "parexec-launch-1\0w22\000ffffffffffffffffffffffffffffffff\0/s\0/o\0/p\0001\0001\0000\0000\00010\0"
        "A=b\0\0C=dd\0"),
    FUZZ_SEED("parexec-launch-2\0w1\0"),
    FUZZ_SEED("7 3 exited 0 0 0 1700000000000000 1700000000500000 120000000 4096000"),
    FUZZ_SEED("18446744073709551615 1 signalled 0 9 0 1 2 3 18446744073709551615"),
    FUZZ_SEED("8 1 spawn-failed 0 0 2 1 1 0 0"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static void check_record(const uint8_t *data, size_t size)
{
    g_autoptr(LaunchRecord) record = NULL;
    g_autoptr(LaunchRecord) again = NULL;
    int r = launch_record_parse(data, size, &record);

    if (r < 0) {
        g_assert_null(record);
        g_assert_true(r == -EINVAL || r == -EPROTO);
        return;
    }
    g_assert_cmpuint(record->slots, >, 0);
    g_autoptr(GBytes) written = launch_record_serialize(record);
    g_assert_cmpint(launch_record_parse(g_bytes_get_data(written, NULL), g_bytes_get_size(written), &again),
                    ==, 0);
    g_autoptr(GBytes) written_again = launch_record_serialize(again);
    g_assert_true(g_bytes_equal(written, written_again));
}

static void check_line(const char *line)
{
    TaskResult result, again, untouched;

    memset(&result, 0xa5, sizeof result);
    memset(&untouched, 0xa5, sizeof untouched);
    if (spool_parse_line(line, &result) < 0) {
        g_assert_cmpmem(&result, sizeof result, &untouched, sizeof untouched);
        return;
    }
    g_assert_null(result.stderr_tail);
    g_autoptr(GString) written = g_string_new(NULL);
    spool_append_line(written, &result);
    g_assert_true(g_str_has_suffix(written->str, "\n"));
    g_string_truncate(written, written->len - 1);
    g_assert_null(strchr(written->str, '\n'));
    g_assert_cmpint(spool_parse_line(written->str, &again), ==, 0);
    g_autoptr(GString) written_again = g_string_new(NULL);
    spool_append_line(written_again, &again);
    g_string_truncate(written_again, written_again->len - 1);
    g_assert_cmpstr(written->str, ==, written_again->str);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *line = g_strndup((const char *) data, size);

    check_record(data, size);
    check_line(line);
    return 0;
}
