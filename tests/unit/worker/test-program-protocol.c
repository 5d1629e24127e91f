/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program-protocol.c: the lines to and from a program. */
#include "worker/program-protocol.h"

#include <string.h>

static char *refusal(const char *line, size_t size)
{
    g_auto(ProgramAnswer) answer = { 0 };
    char *why = NULL;

    if (program_answer_parse(line, size, &answer, &why) != -EINVAL)
        g_error("%s is taken for an answer", line);
    g_assert_null(answer.output);
    g_assert_null(answer.result);
    return why;
}

static void test_refused(void)
{
    static const struct { const char *line, *why; } cases[] = {
        { "", "what is no JSON object" }, { "[]", "what is no JSON object" }, { "17", "what is no JSON object" },
        { "{", "what is no JSON" }, { "{\"id\":1,\"exit\":0", "what is no JSON" }, { "{id:1}", "what is no JSON" },
        { "{\"id\":1,\"exit\":0,}", "what is no JSON" }, { "{}", "an object without \"id\"" },
        { "{\"id\":1}", "an object without \"exit\"" }, { "{\"exit\":1}", "an object without \"id\"" },
        { "{\"id\":-1,\"exit\":0}", "a member \"id\" that is not the number of a task" },
        { "{\"id\":\"1\",\"exit\":0}", "a member \"id\" that is not the number of a task" },
        { "{\"id\":1,\"exit\":256}", "a member \"exit\" that is not a number from 0 to 255" },
        { "{\"id\":1,\"exit\":null}", "a member \"exit\" that is not a number from 0 to 255" },
        { "{\"id\":1,\"exit\":0,\"stdout\":1}", "a member \"stdout\" that is not a string" },
        { "{\"id\":1,\"exit\":0,\"stderr\":[]}", "a member \"stderr\" that is not a string" },
        { "{\"id\":1,\"exit\":0,\"result\":}", "a member \"result\" that is not JSON" },
        { "{\"id\":1,\"exit\":0,\"id\":2}", "two members \"id\"" },
        { "{\"id\":1,\"exit\":0,\"stdout\":\"\",\"stdout\":\"\"}", "two members \"stdout\"" },
        { "{\"id\":1,\"exit\":0}{\"id\":1,\"exit\":0}", "more than one JSON object on a line" },
        { "{\"id\":1,\"exit\":0,\"x\":tru}", "what is no JSON" }, { "{\"id\":1,\"exit\":0,\"x\":\"\xff\"}", "what is no UTF-8" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = refusal(cases[i].line, strlen(cases[i].line));
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_nul(void)
{
    g_autofree char *why = refusal("{\"id\":1,\"exit\":0}\0", 18);

    g_assert_cmpstr(why, ==, "what is no UTF-8");
}

static void test_answer(void)
{
    static const char line[] = " { \"future\" : {\"a\":[1,2]} , \"exit\" : 3 , \"result\": [18446744073709551615, 1.0] ,"
                               " \"stdout\":\"a\\u0000\",\"stderr\":\"\" , \"id\" : 18446744073709551615 } \r";
    g_auto(ProgramAnswer) answer = { 0 };
    char *why = NULL;

    g_assert_cmpint(program_answer_parse(line, strlen(line), &answer, &why), ==, 0);
    g_assert_cmpuint(answer.task, ==, UINT64_MAX);
    g_assert_cmpint(answer.exit_status, ==, 3);
    g_assert_cmpmem(answer.output->str, answer.output->len, "a\0", 2);
    g_assert_cmpuint(answer.errors->len, ==, 0);
    g_assert_cmpmem(g_bytes_get_data(answer.result, NULL), g_bytes_get_size(answer.result),
                    "[18446744073709551615, 1.0]", 27);
}

static void test_question(void)
{
    g_autoptr(TaskContext) context = task_context_new();
    g_autoptr(GBytes) argv = g_bytes_new_static("a\0\"\t\"\0", 6), bytes = g_bytes_new_static("\xff\0", 2);
    ProgramQuestion question = { .task = 17, .batch = 4, .attempt = 1, .array_index = ARRAY_INDEX_NONE, .argv = argv,
                                 .context = context, .inputs = "/in" };
    g_autoptr(GString) text = NULL, binary = NULL;

    context->cwd = g_bytes_new_static("/\xff", 3);
    context->environment = g_bytes_new_static("A=1\0=x\0B\0C=\xff\0D=\0", 16);
    text = program_question_format(&question);
    g_assert_cmpstr(text->str, ==,
                    "{\"id\":17,\"attempt\":1,\"batch\":4,\"argv\":[\"a\",\"\\\"\\u0009\\\"\"],\"cwd_base64\":\"L/8=\","
                    "\"env\":{\"A\":\"1\",\"D\":\"\"},\"inputs\":\"/in\"}\n");
    question = (ProgramQuestion) { .task = 1, .array_index = 0, .argv = bytes, .context = context };
    binary = program_question_format(&question);
    g_assert_nonnull(strstr(binary->str, "\"array_index\":0,\"argv_base64\":[\"/w==\"]"));
    g_assert_null(strstr(binary->str, "inputs"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/program-protocol/refused", test_refused);
    g_test_add_func("/program-protocol/nul", test_nul);
    g_test_add_func("/program-protocol/answer", test_answer);
    g_test_add_func("/program-protocol/question", test_question);
    return g_test_run();
}
