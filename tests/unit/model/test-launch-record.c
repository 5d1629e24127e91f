/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* launch-record.c: what goes in comes out; what was cut or damaged is refused or at least does no harm. */
#include "model/launch-record.h"

#include <string.h>

#include "util/strv-blob.h"

static LaunchRecord *example(int with) /* 1: an environment, 2: a program */
{
    LaunchRecord *record = launch_record_new();

    record->id = g_strdup("w17");
    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        record->token[i] = (uint8_t) (i * 17);
    record->socket = g_strdup("/run/parexec/worker.sock");
    record->output_directory = g_strdup("/var/lib/parexec/out\xff put");
    record->spool_directory = g_strdup("/var/lib/parexec/spool");
    record->slots = 4;
    record->heartbeat_usec = 30 * USEC_PER_SEC;
    record->orphan_usec = UINT64_MAX;
    record->delegated = true;
    if (with & 1)
        record->environment = g_bytes_new_static("A=1\0B=\0C=\xff\0", 11);
    if (with & 2) {
        record->exec = g_bytes_new_static("/bin/model\0--warm\0\xff\0", 20);
        record->class = g_strdup("models");
        record->user = 1000;
        record->recycle = 500;
        record->recycle_memory_bytes = 1U << 30;
    }
    return record;
}

static void assert_equal(const LaunchRecord *a, const LaunchRecord *b)
{
    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpmem(a->token, LAUNCH_TOKEN_BYTES, b->token, LAUNCH_TOKEN_BYTES);
    g_assert_cmpstr(a->socket, ==, b->socket);
    g_assert_cmpstr(a->output_directory, ==, b->output_directory);
    g_assert_cmpstr(a->spool_directory, ==, b->spool_directory);
    g_assert_cmpuint(a->slots, ==, b->slots);
    g_assert_cmpuint(a->heartbeat_usec, ==, b->heartbeat_usec);
    g_assert_cmpuint(a->orphan_usec, ==, b->orphan_usec);
    g_assert_cmpint(a->delegated, ==, b->delegated);
    g_assert_cmpint(a->environment != NULL, ==, b->environment != NULL);
    g_assert_cmpint(a->exec != NULL, ==, b->exec != NULL);
    g_assert_true(!a->exec || g_bytes_equal(a->exec, b->exec));
    g_assert_cmpstr(a->class, ==, b->class);
    g_assert_cmpuint(a->user, ==, b->user);
    g_assert_cmpuint(a->recycle, ==, b->recycle);
    g_assert_cmpuint(a->recycle_memory_bytes, ==, b->recycle_memory_bytes);
    g_assert_true(!a->environment || g_bytes_equal(a->environment, b->environment));
}

static int parse(GBytes *bytes, LaunchRecord **ret)
{
    size_t size;
    const void *data = g_bytes_get_data(bytes, &size);

    return launch_record_parse(data, size, ret);
}

static void test_round_trip(void)
{
    for (int with = 0; with < 4; with++) {
        g_autoptr(LaunchRecord) record = example(with), back = NULL;
        g_autoptr(GBytes) bytes = launch_record_serialize(record);
        g_assert_cmpint(parse(bytes, &back), ==, 0);
        assert_equal(back, record);
    }
}

/* The daemon may die while it writes: a part of a record is no record. */
static void test_truncated(void)
{
    for (int with = 0; with < 4; with++) {
        g_autoptr(LaunchRecord) record = example(with);
        g_autoptr(GBytes) bytes = launch_record_serialize(record);
        for (size_t size = 0; size < g_bytes_get_size(bytes); size++) {
            g_autoptr(LaunchRecord) back = NULL;
            g_autofree char *part = g_memdup2(g_bytes_get_data(bytes, NULL), size); /* exact: reading beyond it is seen */
            if (launch_record_parse(part, size, &back) != -EINVAL || back)
                g_error("%zu bytes of %zu are taken for a record", size, g_bytes_get_size(bytes));
        }
    }
}

static void test_mutated(void)
{
    g_autoptr(LaunchRecord) record = example(3);
    g_autoptr(GBytes) bytes = launch_record_serialize(record);
    size_t size;
    const char *data = g_bytes_get_data(bytes, &size);

    for (unsigned i = 0; i < 20000; i++) {
        g_autoptr(LaunchRecord) back = NULL;
        g_autofree char *copy = g_memdup2(data, size);
        for (int n = g_test_rand_int_range(1, 4); n > 0; n--)
            copy[g_test_rand_int_range(0, (gint32) size)] = (char) g_test_rand_int();
        int r = launch_record_parse(copy, size, &back);
        if (r < 0) {
            g_assert_true(r == -EINVAL || r == -EPROTO);
            g_assert_null(back);
            continue;
        }
        g_assert_cmpuint(back->slots, >=, 1);
        g_assert_cmpuint(back->heartbeat_usec, >=, 1);
        g_assert_true(back->id && back->socket && back->output_directory && back->spool_directory);
    }
}

/* A record with the text put in the place of its n-th field. */
static int parse_with_field(size_t n, const char *text)
{
    g_autoptr(LaunchRecord) record = example(0), back = NULL;
    g_autoptr(GBytes) bytes = launch_record_serialize(record), changed = NULL;
    size_t size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autofree char **fields = strv_blob_pointers(data, size);

    fields[n] = (char *) text;
    changed = strv_blob_new(fields);
    int r = parse(changed, &back);
    g_assert_cmpint(back != NULL, ==, r == 0);
    return r;
}

static void test_fields(void)
{
    static const struct { size_t field; const char *text; int r; } cases[] = {
        { 0, "parexec-launch-999", -EPROTO }, { 0, "parexec-launch-", -EPROTO }, { 0, "something", -EINVAL }, { 0, "", -EINVAL },
        { 2, "", -EINVAL }, { 2, "00112233445566778899aabbccddeef", -EINVAL }, { 2, "00112233445566778899aabbccddeeff0", -EINVAL },
        { 2, "00112233445566778899aabbccddeexx", -EINVAL }, { 2, "00112233445566778899AABBCCDDEEFF", 0 },
        { 6, "0", -EINVAL }, { 6, "4294967295", 0 }, { 6, "4294967296", -EINVAL }, { 6, "-1", -EINVAL }, { 6, "", -EINVAL },
        { 7, "0", -EINVAL }, { 7, "18446744073709551615", 0 }, { 7, "18446744073709551616", -EINVAL },
        { 8, "0", 0 }, { 8, "x", -EINVAL }, { 9, "0", 0 }, { 9, "yes", -EINVAL },
        { 10, "c", 0 }, { 11, "4294967296", -EINVAL }, { 11, "", -EINVAL }, { 12, "4294967296", -EINVAL }, { 13, "-1", -EINVAL },
        { 14, "1", -EINVAL }, { 14, "18446744073709551615", -EINVAL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        if (parse_with_field(cases[i].field, cases[i].text) != cases[i].r)
            g_error("field %zu as \"%s\" does not give %d", cases[i].field, cases[i].text, cases[i].r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/launch-record/round-trip", test_round_trip);
    g_test_add_func("/launch-record/truncated", test_truncated);
    g_test_add_func("/launch-record/mutated", test_mutated);
    g_test_add_func("/launch-record/fields", test_fields);
    return g_test_run();
}
