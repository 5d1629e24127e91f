/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The results of workers that ended while there was no daemon. A file is read before the loop learns that its worker is
 * gone, so that what it finished is not taken for lost. */
#include "link/spool-reader.h"

#include <string.h>

#include "model/spool.h"
#include "util/log.h"

static void on_stored(int r, void *userdata)
{
    g_autofree char *path = userdata;

    if (r >= 0 && unlink(path) < 0)
        log_warning_errno(errno, "Cannot remove %s, ignoring: %m", path);
}

static GArray *parse(const char *path, char *text)
{
    GArray *results = g_array_new(FALSE, FALSE, sizeof(TaskResult));
    char *rest = text;

    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        TaskResult result;
        if (*line == '\0')
            continue;
        if (spool_parse_line(line, &result) < 0)
            log_warning("%s: a line is not a result, ignoring it.", path);
        else
            g_array_append_val(results, result);
    }
    return results;
}

static void read_file(Manager *manager, const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL), *text = NULL;
    g_autoptr(GError) error = NULL;
    uint32_t number;

    if (worker_id_parse(name, &number) < 0)
        return;
    Worker *worker = manager_find_worker(manager, number);
    if (!worker) {
        (void) unlink(path);
        return;
    }
    if (!g_file_get_contents(path, &text, NULL, &error)) {
        log_warning("Cannot read %s, ignoring: %s", path, error->message);
        return;
    }
    g_autoptr(GArray) results = parse(path, text);
    manager_tasks_finished(manager, worker, (TaskResult *) results->data, results->len, on_stored,
                           g_steal_pointer(&path));
}

void spool_read(Manager *manager, const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        read_file(manager, directory, name);
}
