/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel writes one line for a victim of its OOM killer, if there are not too many of them:
 *   6,11587,23933710620,-;oom-kill:constraint=CONSTRAINT_MEMCG,…,task_memcg=/a.slice/b.scope/slot-0,task=tail,pid=69,uid=0
 * (level, number, µs since boot). Its cgroups and PIDs are those of the first namespaces. The log may be shut for us, and
 * is missing in most containers: then nobody knows. */
#include "worker/kernel-log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/parse-util.h"

#define RECORD_BYTES_MAX 8192
#define RECORDS_MAX 100000        /* of a log that grows as fast as it is read */
#define CLOCK_SLACK_USEC (2 * USEC_PER_SEC) /* the log has a clock of its own */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCU     /* its inode number: PROC_PID_INIT_INO of the kernel */

static bool read_time(const char *record, uint64_t *ret)
{
    g_auto(GStrv) fields = g_strsplit(record, ",", 4);

    return g_strv_length(fields) == 4 && parse_uint64(fields[2], ret) >= 0;
}

/* What stands between a key and the last occurrence of what follows it: a program chooses its own name. */
static char *between(const char *text, const char *key, const char *end)
{
    const char *begin = strstr(text, key), *last = begin ? g_strrstr(begin, end) : NULL;

    if (!last)
        return NULL;
    begin += strlen(key);
    return last >= begin ? g_strndup(begin, (gsize) (last - begin)) : NULL;
}

bool kernel_log_match(const char *record, const char *group, uint64_t since_usec, OomVictim *ret)
{
    const char *text = strstr(record, ";oom-kill:");
    g_autofree char *memcg = NULL, *name = NULL;
    const char *pid;
    uint64_t usec;

    if (!text || !read_time(record, &usec) || usec + CLOCK_SLACK_USEC < since_usec)
        return false;
    memcg = between(text, ",task_memcg=", ",task=");
    if (!memcg || !g_str_has_suffix(memcg, group))
        return false;
    name = between(text, ",task=", ",pid=");
    pid = g_strrstr(text, ",pid=");
    if (!name)
        return false;
    oom_victim_done(ret);
    *ret = (OomVictim) { g_steal_pointer(&name), (int) g_ascii_strtoll(pid + strlen(",pid="), NULL, 10) };
    return true;
}

static bool pids_are_ours(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) >= 0 && st.st_ino == FIRST_PID_NAMESPACE;
}

bool kernel_log_find_victim(const char *group, uint64_t since_usec, OomVictim *ret)
{
    _cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char record[RECORD_BYTES_MAX + 1];
    bool found = false;

    for (int i = 0; fd >= 0 && i < RECORDS_MAX; i++) {
        ssize_t n = read(fd, record, RECORD_BYTES_MAX);
        if (n < 0 && errno == EPIPE) /* the log has gone over what was to be read next */
            continue;
        if (n <= 0)
            break;
        record[n] = '\0';
        found |= kernel_log_match(record, group, since_usec, ret);
    }
    if (found && !pids_are_ours())
        ret->pid = 0;
    return found;
}
