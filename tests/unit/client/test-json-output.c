/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus values as JSON. */

#include "client/json-output.h"

#include <math.h>

#include "tests/unit/client/fake-manager.h"

static sd_bus *bus;

static sd_bus_message *new_message(void)
{
    sd_bus_message *m = NULL;

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z"), >=, 0);
    return m;
}

static void check(sd_bus_message *m, const char *expected)
{
    g_autoptr(JsonOutput) json = json_output_new();

    message_seal(m);
    g_assert_cmpint(json_output_message(json, m), >=, 0);
    g_autofree char *text = json_output_text(json, false);
    g_assert_cmpstr(text, ==, expected);
    sd_bus_message_unref(m);
}

static void test_numbers(void)
{
    sd_bus_message *m = new_message();

    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 9, "t", "t", UINT64_C(9007199254740993), "max", "t",
                                          UINT64_MAX, "u", "u", UINT32_MAX, "user", "u", UINT32_MAX, "i", "i",
                                          -5, "b", "b", 1, "d", "d", 98.5, "nan", "d", NAN, "n", "n",
                                          (int16_t) -3),
                    >=, 0);
    check(
        m,
        "{\"t\":9007199254740993,\"max\":null,\"u\":4294967295,\"user\":null,\"i\":-5,\"b\":true,\"d\":98.5,\"nan\":null,\"n\":-3}");
}

static void test_times(void)
{
    sd_bus_message *m = new_message();

    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 4, "heartbeat", "t", UINT64_C(1769860800123456),
                                          "started", "t", UINT64_C(0), "finished", "t", UINT64_MAX, "total",
                                          "t", UINT64_C(1769860800123456)),
                    >=, 0);
    check(
        m,
        "{\"heartbeat\":\"2026-01-31T12:00:00.123Z\",\"started\":null,\"finished\":null,\"total\":1769860800123456}");
}

static void test_bytes(void)
{
    static const char closed[] = "closed", odd[] = { '\xff', '\xfe' };
    sd_bus_message *m = new_message();

    g_assert_cmpint(sd_bus_message_open_container(m, 'a', "ay"), >=, 0);
    g_assert_cmpint(sd_bus_message_append_array(m, 'y', "ls", 2), >=, 0);
    g_assert_cmpint(sd_bus_message_append_array(m, 'y', closed, sizeof closed), >=, 0); /* with its NUL */
    g_assert_cmpint(sd_bus_message_append_array(m, 'y', odd, sizeof odd), >=, 0);
    g_assert_cmpint(sd_bus_message_append_array(m, 'y', "", 0), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    check(m, "[\"ls\",\"closed\",{\"base64\":\"//4=\"},\"\"]");
}

static void test_nested(void)
{
    sd_bus_message *m = new_message();

    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 3, "workers", "aa{sv}", 2, 1, "id", "s", "w1", 0,
                                          "none", "as", 0, "pair", "(tt)", UINT64_C(1), UINT64_C(2)),
                    >=, 0);
    check(m, "{\"workers\":[{\"id\":\"w1\"},{}],\"none\":[],\"pair\":[1,2]}");
}

static void test_properties(void)
{
    g_autoptr(sd_bus_message) m = new_message();
    g_autoptr(JsonOutput) json = json_output_new();

    g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 6, "Id", "t", UINT64_C(17), "MemoryMax", "t",
                                          UINT64_MAX, "CPUUsageNSec", "t", UINT64_C(5), "StartTimestamp", "t",
                                          UINT64_C(0), "NotEnforced", "as", 0, "ExitStatus", "i", 3),
                    >=, 0);
    message_seal(m);
    json_output_begin_object(json);
    g_assert_cmpint(json_output_properties(json, m), >=, 0);
    json_output_end_object(json);
    g_autofree char *text = json_output_text(json, false);
    g_assert_cmpstr(
        text, ==,
        "{\"id\":17,\"memory-max\":null,\"cpu-usage-nsec\":5,\"started\":null,\"not-enforced\":[],\"exit-status\":3}");
}

static void test_strings(void)
{
    sd_bus_message *m = new_message();

    g_assert_cmpint(sd_bus_message_append(m, "as", 2, "quote \" back \\ line \n", "grün"), >=, 0);
    check(m, "[\"quote \\\" back \\\\ line \\n\",\"grün\"]");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bus = message_bus_new();
    g_test_add_func("/json-output/numbers", test_numbers);
    g_test_add_func("/json-output/times", test_times);
    g_test_add_func("/json-output/bytes", test_bytes);
    g_test_add_func("/json-output/nested", test_nested);
    g_test_add_func("/json-output/properties", test_properties);
    g_test_add_func("/json-output/strings", test_strings);
    int r = g_test_run();
    sd_bus_close_unref(bus);
    return r;
}
