/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program answers. A refusal says why and leaves nothing; what is taken is UTF-8 and in its ranges, and its result
 * is JSON that can be read again. */
#include "fuzz-target.h"

#include <string.h>

#include "worker/json-scan.h"
#include "worker/program-protocol.h"

const FuzzSeed fuzz_seeds[] = {
    FUZZ_SEED("{\"id\":17,\"exit\":0}"),
    FUZZ_SEED("{\"id\":1,\"exit\":255,\"stdout\":\"a\\n\\ud83d\\ude00\\u0000\",\"stderr\":\"\"}"),
    FUZZ_SEED("{\"id\":1,\"exit\":0,\"result\":{\"a\":[1,-2.5e-3,null,true,{\"b\":\"\\\\\"}]}}"),
    FUZZ_SEED("{\"else\":[[[[[[]]]]]],\"exit\":3,\"id\":18446744073709551615}"),
    FUZZ_SEED("{\"id\":1,\"id\":1,\"exit\":0}"),
    FUZZ_SEED("[1]"),
};
const size_t n_fuzz_seeds = G_N_ELEMENTS(fuzz_seeds);

static void check_result(GBytes *result)
{
    size_t size;
    const char *text = g_bytes_get_data(result, &size), *begin;
    JsonScan scan = { text, text + size };

    g_assert_cmpint(json_scan_skip(&scan, &begin), ==, 0);
    g_assert_true(begin == text);
    g_assert_true(json_scan_at_end(&scan));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_auto(ProgramAnswer) answer = { 0 };
    g_autofree char *why = NULL;

    if (program_answer_parse((const char *) data, size, &answer, &why) < 0) {
        g_assert_nonnull(why);
        g_assert_null(answer.output);
        g_assert_null(answer.result);
        return 0;
    }
    g_assert_null(why);
    g_assert_cmpint(answer.exit_status, >=, 0);
    g_assert_cmpint(answer.exit_status, <=, 255);
    if (answer.result)
        check_result(answer.result);
    return 0;
}
