/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Splitting submissions into messages: by number, by size, in one batch that is committed by the last one. */

#include "client/submission.h"

#include "dbus/parexec-dbus.h"
#include "tests/unit/client/fake-manager.h"

static const TaskOptions no_options;

static void init_template(TaskTemplate *template, Client *client)
{
    g_assert_cmpint(task_template_init(template, client, &no_options), ==, 0);
}

static void test_room(void)
{
    SubmitMessage message = {};

    g_assert_true(submit_message_has_room(&message, SUBMIT_MESSAGE_BYTES_MAX));
    g_assert_false(submit_message_has_room(&message, SUBMIT_MESSAGE_BYTES_MAX + 1));
    message.tasks = PAREXEC_TASKS_PER_CALL_MAX - 1;
    g_assert_true(submit_message_has_room(&message, 100));
    message.tasks++;
    g_assert_false(submit_message_has_room(&message, 100));
    message = (SubmitMessage){ .tasks = 1, .bytes = SUBMIT_MESSAGE_BYTES_MAX - 99 };
    g_assert_false(submit_message_has_room(&message, 100));
    g_assert_true(submit_message_has_room(&message, 99));
}

static void submit(Client *client, Submitter *submitter, const TaskTemplate *template, unsigned n,
                   char *const *argv)
{
    submitter_init(submitter, client, template);
    for (unsigned i = 0; i < n; i++)
        g_assert_cmpint(submitter_add(submitter, &(TaskEntry){ .argv = argv }), >=, 0);
    g_assert_cmpint(submitter_commit(submitter), >=, 0);
}

static void test_by_number(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    char *argv[] = { (char *) "true", (char *) "x", NULL };
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};

    init_template(&template, &client);
    submit(&client, &submitter, &template, 25000, argv);
    g_assert_cmpuint(fake->submits, ==, 3);
    g_assert_cmpuint(fake->tasks_of[0], ==, 10000);
    g_assert_cmpuint(fake->tasks_of[1], ==, 10000);
    g_assert_cmpuint(fake->tasks_of[2], ==, 5000);
    g_assert_false(fake->commits[0]);
    g_assert_false(fake->commits[1]);
    g_assert_true(fake->commits[2]);
    g_assert_cmpuint(fake->batches[1], ==, fake->batches[0]);
    g_assert_cmpuint(fake->batches[2], ==, fake->batches[0]);
    g_assert_cmpuint(submitter.batch, ==, fake->batches[0]);
    g_assert_cmpuint(submitter.first, ==, 1);
    g_assert_cmpuint(submitter.last, ==, 25000);
    g_assert_cmpuint(submitter.count, ==, 25000);
    g_assert_cmpuint(submitter_id(&submitter, 0), ==, 1);
    g_assert_cmpuint(submitter_id(&submitter, 24999), ==, 25000);
    g_assert_cmpuint(submitter_id(&submitter, 25000), ==, 0);
    fake_manager_free(fake, &client);
}

/* Exactly a message full: it carries the commit itself. */
static void test_exactly_full(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    char *argv[] = { (char *) "true", NULL };
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};

    init_template(&template, &client);
    submit(&client, &submitter, &template, PAREXEC_TASKS_PER_CALL_MAX, argv);
    g_assert_cmpuint(fake->submits, ==, 1);
    g_assert_true(fake->commits[0]);
    fake_manager_free(fake, &client);
}

static void test_by_size(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autofree char *large = g_strnfill(5 << 20, 'x');
    char *argv[] = { (char *) "echo", large, NULL };
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};

    init_template(&template, &client);
    submit(&client, &submitter, &template, 10, argv);
    g_assert_cmpuint(fake->submits, ==, 4); /* three of 5 MiB fit below 16 MiB */
    g_assert_cmpuint(fake->tasks_of[0], ==, 3);
    g_assert_cmpuint(fake->tasks_of[3], ==, 1);
    g_assert_true(fake->commits[3]);
    fake_manager_free(fake, &client);
}

static void test_too_large(void)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autofree char *large = g_strnfill(25 << 20, 'x');
    char *argv[] = { (char *) "echo", large, NULL };
    g_auto(TaskTemplate) template = {};
    g_auto(Submitter) submitter = {};

    init_template(&template, &client);
    submitter_init(&submitter, &client, &template);
    g_assert_cmpint(submitter_add(&submitter, &(TaskEntry){ .argv = argv }), ==, -E2BIG);
    g_assert_cmpint(client.failure, ==, PARCTL_FAILED);
    g_assert_cmpuint(fake->submits, ==, 0);
    fake_manager_free(fake, &client);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/submission/room", test_room);
    g_test_add_func("/submission/by-number", test_by_number);
    g_test_add_func("/submission/exactly-full", test_exactly_full);
    g_test_add_func("/submission/by-size", test_by_size);
    g_test_add_func("/submission/too-large", test_too_large);
    return g_test_run();
}
