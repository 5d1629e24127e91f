/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job files: what they say, in which order tasks are sent, what is told of each, and what is refused. */

#include <string.h>

#include "client/job-submission.h"
#include "client/json-output.h"
#include "client/output.h"
#include "tests/unit/client/fake-manager.h"

static JobFile *parse(const char *text)
{
    g_autofree char *why = NULL;
    JobFile *file = NULL;
    int r = job_file_parse(text, strlen(text), &file, &why);

    g_test_message("%s", why ?: "good");
    g_assert_cmpint(r, ==, 0);
    return file;
}

static char *order_of(const JobFile *file)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < file->order->len; i++) {
        const JobTask *task = file->tasks->pdata[g_array_index(file->order, guint, i)];
        g_string_append_printf(text, "%s%s@%u", i > 0 ? " " : "", task->id, (unsigned) task->position);
    }
    return g_string_free(text, FALSE);
}

static void test_order(void)
{
    static const struct {
        const char *text, *order;
    } cases[] = {
        { "[{\"id\":\"a\",\"argv\":[\"x\"]},{\"id\":\"b\",\"argv\":[\"x\"],\"after\":\"afterok:a\"}]",
          "a@0 b@1" },
        { "[{\"id\":\"z\",\"argv\":[\"x\"]},{\"id\":\"d\",\"argv\":[\"x\"],\"after\":[\"afterok:b\",\"afterok:c\"]},"
          "{\"id\":\"c\",\"argv\":[\"x\"],\"after\":\"afterany:a\"},{\"id\":\"b\",\"argv\":[\"x\"],\"after\":\"afterok:a\"},"
          "{\"id\":\"a\",\"argv\":[\"x\"]}]",
          "z@0 a@1 b@2 c@3 d@4" },
        { "[{\"id\":\"b\",\"argv\":[\"x\"],\"after\":\"afterok:a\"},{\"id\":\"a\",\"array\":\"1-5\",\"argv\":[\"x\"]}]",
          "a@0 b@5" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JobFile) file = parse(cases[i].text);
        g_autofree char *order = order_of(file);
        g_assert_cmpstr(order, ==, cases[i].order);
    }
}

static char *after_of(const JobFile *file, guint task)
{
    const GArray *conditions = ((const JobTask *) file->tasks->pdata[task])->after.conditions;
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < conditions->len; i++) {
        const Dependency *d = &g_array_index(conditions, Dependency, i);
        g_autofree char *word = dependency_format(d);
        g_string_append_printf(text, "%s%u:%s%s", i > 0 ? " " : "", d->clause,
                               d->target == TARGET_LOCAL ? "@" : "", word);
    }
    return g_string_free(text, FALSE);
}

static void test_targets(void)
{
    static const struct {
        const char *after, *expected;
    } cases[] = {
        { "afterok:one", "0:@afterok:0" },
        { "afterok:17,afterany:batch:4", "0:afterok:17 1:afterany:batch:4" },
        { "afterok:one?exit=3:one", "0:@afterok:0 0:@exit=3:0" },
        { "afterok:many", "0:@afterok:1 1:@afterok:2 2:@afterok:3" },
        { "aftercorr:many", "0:@aftercorr:1" },
        { "afterok:many?oom:one,afterany:one",
          "0:@afterok:1 0:@oom:0 1:@afterok:2 1:@oom:0 2:@afterok:3 2:@oom:0 3:@afterany:0" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("[{\"id\":\"one\",\"argv\":[\"x\"]},"
                                                "{\"id\":\"many\",\"array\":\"7-9\",\"argv\":[\"x\"]},"
                                                "{\"argv\":[\"x\"],\"after\":\"%s\"}]",
                                                cases[i].after);
        g_autoptr(JobFile) file = parse(text);
        g_autofree char *after = after_of(file, 2);
        g_assert_cmpstr(after, ==, cases[i].expected);
    }
}

/* A message of one task, in JSON. */
static char *message_of(const TaskTemplate *template, const TaskEntry *entry)
{
    g_autoptr(sd_bus_message) m = NULL;
    g_autoptr(JsonOutput) json = json_output_new();
    sd_bus *bus = message_bus_new();

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/", "a.b", "C"), >=, 0);
    g_assert_cmpint(task_template_append(template, m, entry), >=, 0);
    message_seal(m);
    g_assert_cmpint(json_output_message(json, m), >=, 0);
    char *text = json_output_text(json, /* pretty= */ false);
    m = sd_bus_message_unref(m);
    sd_bus_unref(bus);
    return text;
}

static void test_message(void)
{
    g_autoptr(JobFile) file = parse(
        "[{\"id\":\"a\",\"argv\":[\"x\"]},{\"id\":\"b\",\"name\":\"B\",\"shell\":true,\"command\":\"a | b\","
        "\"tags\":[\"t\"],\"cwd\":\"/tmp\",\"stdout\":\"/o\",\"priority\":-1,\"array\":\"0-1%1\","
        "\"after\":\"afterok:a?exit=3:a,singleton\",\"hold\":true}]");
    const JobTask *task = file->tasks->pdata[1];
    g_auto(TaskTemplate) template = { .fds = { -EBADF, -EBADF, -EBADF } };
    TaskEntry entry = { .argv = task->argv,
                        .name = task->name,
                        .cwd = task->cwd,
                        .tags = task->tags,
                        .paths = { NULL, task->paths[STREAM_STDOUT], NULL },
                        .terms = &task->terms,
                        .after = &task->after,
                        .array = true,
                        .array_last = 1,
                        .parallel = 1 };
    g_autofree char *text = message_of(&template, &entry);

    g_assert_cmpstr(
        text, ==,
        "{\"argv\":[\"/bin/sh\",\"-c\",\"a | b\"],\"name\":\"B\",\"tags\":[\"t\"],\"cwd\":\"/tmp\","
        "\"stdout\":\"/o\",\"priority\":-1,\"hold\":true,\"array\":[0,1],\"parallel\":1,"
        "\"after\":[[\"afterok\",0,{\"local\":true,\"clause\":0}],"
        "[\"exit\",0,{\"local\":true,\"status\":3,\"clause\":0}],[\"singleton\",0,{}]]}");
}

static void test_defaults(void)
{
    static const TaskOptions no_options;
    Client client = { .quiet = true };
    TaskOptions options;
    g_auto(TaskTemplate) template = {};
    g_autoptr(JobFile) file =
        parse("{\"defaults\":{\"name\":\"N\",\"timeout\":\"200%\",\"retries\":1,\"env\":{\"A\":\"1\"}},"
              "\"tasks\":[{\"argv\":[\"x\"],\"timeout\":30},{\"argv\":[\"x\"]}]}");

    job_options_init(&options, &no_options, file);
    g_assert_cmpstr(options.name, ==, "N");
    g_assert_cmpint(task_template_init(&template, &client, &options), ==, 0);
    g_assert_true(g_strv_contains((const char *const *) template.env, "A=1"));
    job_template_complete(&template, file);
    job_options_done(&options, &no_options);
    /* "timeout" and "timeout-percent" would both count: each task gets its own */
    g_assert_cmpuint(template.terms.given, ==, 1U << TERM_RETRIES);
    const JobTask *first = file->tasks->pdata[0], *second = file->tasks->pdata[1];
    g_assert_cmpuint(first->terms.policy.timeout_usec, ==, 30 * USEC_PER_SEC);
    g_assert_cmpuint(first->terms.policy.timeout_percent, ==, 0);
    g_assert_cmpuint(second->terms.policy.timeout_percent, ==, 200);
}

static void test_refused(void)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "[{\"id\":\"a\",\"argv\":[\"x\"],\"after\":\"afterok:a\"}]",
          "tasks[0].after: tasks wait for one another: a → a" },
        { "[{\"id\":\"a\",\"argv\":[\"x\"],\"after\":\"afterok:b\"},{\"id\":\"b\",\"argv\":[\"x\"],\"after\":\"afterany:c\"},"
          "{\"id\":\"c\",\"argv\":[\"x\"],\"after\":\"exit=1:a\"}]",
          "tasks[2].after: tasks wait for one another: a → b → c → a" },
        { "[{\"argv\":[\"x\"],\"after\":\"afterok:zz\"}]", "tasks[0].after: there is no task \"zz\"" },
        { "[{\"id\":\"a\",\"argv\":[\"x\"]},{\"id\":\"a\",\"argv\":[\"x\"]}]", "tasks[1].id: " },
        { "[{\"id\":\"17\",\"argv\":[\"x\"]}]", "tasks[0].id: " },
        { "[{\"id\":\"a,b\",\"argv\":[\"x\"]}]", "tasks[0].id: " },
        { "[{\"argv\":[\"x\"],\"argvv\":1}]", "tasks[0].argvv: " },
        { "[{\"argv\":[\"x\"],\"credential\":\"a=/b\"}]", "tasks[0].credential: " },
        { "[{\"argv\":\"x\"}]", "tasks[0].argv: " },
        { "[{\"argv\":[]}]", "tasks[0].argv: " },
        { "[{\"argv\":[1]}]", "tasks[0].argv: " },
        { "[{}]", "tasks[0]: " },
        { "[{\"argv\":[\"x\"],\"command\":\"x\"}]", "tasks[0]: " },
        { "[{\"command\":\"x\"}]", "tasks[0].command: " },
        { "[{\"argv\":[\"x\"],\"after\":\"\"}]", "tasks[0].after: " },
        { "[{\"argv\":[\"x\"],\"after\":7}]", "tasks[0].after: " },
        { "[{\"argv\":[\"x\"],\"after\":[\"\"]}]", "tasks[0].after: " },
        { "[{\"argv\":[\"x\"],\"env\":{\"A=B\":\"1\"}}]", "tasks[0].env: " },
        { "[{\"argv\":[\"x\"],\"env\":{\"A\":1}}]", "tasks[0].env: " },
        { "[{\"argv\":[\"x\"],\"retries\":4294967296}]", "tasks[0].retries: " },
        { "[{\"argv\":[\"x\"],\"retries\":1.5}]", "tasks[0].retries: " },
        { "[{\"argv\":[\"x\"],\"retries\":null}]", "tasks[0].retries: " },
        { "[{\"argv\":[\"x\"],\"hold\":\"yes\"}]", "tasks[0].hold: " },
        { "[{\"argv\":[\"x\"],\"array\":\"3-1\"}]", "tasks[0].array: " },
        { "[{\"argv\":[\"x\"],\"tags\":[\"\"]}]", "tasks[0].tags: " },
        { "[{\"argv\":[\"x\"],\"credentials\":{\"../x\":\"/y\"}}]", "tasks[0].credentials: " },
        { "[{\"argv\":[\"x\"],\"stdin\":\"\"}]", "tasks[0].stdin: " },
        { "{\"defaults\":{\"id\":\"x\"},\"tasks\":[{\"argv\":[\"x\"]}]}", "defaults.id: " },
        { "{\"tusks\":[]}", "tusks: " },
        { "{\"defaults\":{}}", "tasks: " },
        { "[]", "tasks: " },
        { "[[]]", "tasks[0]: " },
        { "7", "tasks: " },
        { "[{\"id\":\"a\",\"array\":\"0-999\",\"argv\":[\"x\"]},{\"id\":\"b\",\"array\":\"0-999\",\"argv\":[\"x\"]},"
          "{\"argv\":[\"x\"],\"after\":\"afterok:a?afterok:b\"}]",
          "tasks[2].after: " },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *why = NULL;
        JobFile *file = NULL;
        g_test_message("%s", cases[i].text);
        g_assert_cmpint(job_file_parse(cases[i].text, strlen(cases[i].text), &file, &why), ==, -EINVAL);
        g_assert_null(file);
        g_test_message("%s", why);
        g_assert_true(g_str_has_prefix(why, cases[i].why));
    }
}

/* A chain of n tasks that stands in the file from its end to its beginning; the last may close it to a
 * ring. */
static char *chain(unsigned n, bool ring)
{
    GString *text = g_string_new("[");

    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(text, "%s{\"id\":\"t%u\",\"argv\":[\"true\"]", i > 0 ? "," : "", i);
        if (i + 1 < n || ring)
            g_string_append_printf(text, ",\"after\":\"afterok:t%u\"", (i + 1) % n);
        g_string_append_c(text, '}');
    }
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static void test_long_chain(void)
{
    g_autofree char *line = chain(100000, false), *ring = chain(10000, true), *why = NULL;
    g_autoptr(JobFile) file = parse(line);
    JobFile *none = NULL;

    g_assert_cmpuint(((const JobTask *) file->tasks->pdata[0])->position, ==, 99999);
    g_assert_cmpint(job_file_parse(ring, strlen(ring), &none, &why), ==, -EINVAL);
    g_assert_nonnull(strstr(why, "t0 → t1 → "));
    g_assert_cmpuint(strlen(why), <, 500);
}

static char *layered(unsigned n, unsigned edges)
{
    GString *text = g_string_new("[");

    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(text, "%s{\"id\":\"t%u\",\"argv\":[\"true\"]", i > 0 ? "," : "", i);
        if (i >= edges) {
            g_string_append(text, ",\"after\":\"afterok");
            for (unsigned k = 1; k <= edges; k++)
                g_string_append_printf(text, ":t%u", (unsigned) ((i * 7919U * k) % i));
            g_string_append_c(text, '"');
        }
        g_string_append_c(text, '}');
    }
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

/* 100 000 tasks with 300 000 edges, up to the calls, of at most 10 000 tasks each, of which the last
 * commits. */
static void test_large(void)
{
    static const TaskOptions no_options;
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autofree char *text = layered(100000, 3);
    gint64 begin = g_get_monotonic_time();
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};
    g_autoptr(JobFile) file = parse(text);

    g_assert_cmpint(task_template_init(&template, &client, &no_options), ==, 0);
    job_template_complete(&template, file);
    submitter_init(&submitter, &client, &template);
    g_assert_cmpint(job_submit(&submitter, file), ==, 0);
    g_assert_cmpint(submitter_commit(&submitter), ==, 0);
    g_test_message("took %.2f s", (double) (g_get_monotonic_time() - begin) / USEC_PER_SEC);
    g_assert_cmpuint(submitter.count, ==, 100000);
    g_assert_cmpuint(fake->submits, >=, 10);
    for (unsigned i = 0; i < fake->submits; i++) {
        g_assert_cmpuint(fake->tasks_of[i], <=, 10000);
        g_assert_cmpint(fake->commits[i], ==, i + 1 == fake->submits);
    }
    fake_manager_free(fake, &client);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    output_init(COLOR_NEVER);
    g_test_add_func("/job-file/order", test_order);
    g_test_add_func("/job-file/targets", test_targets);
    g_test_add_func("/job-file/message", test_message);
    g_test_add_func("/job-file/defaults", test_defaults);
    g_test_add_func("/job-file/refused", test_refused);
    g_test_add_func("/job-file/long-chain", test_long_chain);
    g_test_add_func("/job-file/large", test_large);
    return g_test_run();
}
