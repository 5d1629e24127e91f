/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Triggers of /proc/pressure: owned by main. The kernel wakes the loop (EPOLLPRI) at most once in a window while the line is
 * crossed. The window is two seconds: without CAP_SYS_RESOURCE the kernel takes only multiples of that. A trigger lives as long as
 * its descriptor; a new line needs a new one. */
#include "host/pressure-watch.h"
#include "util/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#define WINDOW_USEC (2 * USEC_PER_SEC)
#define STALL_MIN_USEC UINT64_C(1000)
#define TELL_EVERY_USEC USEC_PER_SEC

typedef struct PressureTrigger {
    PressureWatch *watch;
    PressureKind kind;
    double line;
    sd_event_source *source; /* owns the descriptor; NULL: not watched */
    uint64_t told_usec;      /* CLOCK_MONOTONIC; 0: never */
} PressureTrigger;

struct PressureWatch {
    sd_event *event;
    HostEvents events;
    char *directory;
    PressureTrigger triggers[_PRESSURE_MAX];
    bool told_of_failure;
};

static const char *const files[_PRESSURE_MAX] = {
    [PRESSURE_MEMORY] = "memory",
    [PRESSURE_CPU] = "cpu",
    [PRESSURE_IO] = "io",
};

static void trigger_stop(PressureTrigger *trigger)
{
    trigger->source = sd_event_source_disable_unref(trigger->source);
}

/* The kernel's window may end twice in quick succession when a trigger was just made. */
static bool may_tell(PressureTrigger *trigger)
{
    uint64_t now_usec = (uint64_t) g_get_monotonic_time();

    if (trigger->told_usec > 0 && now_usec < trigger->told_usec + TELL_EVERY_USEC)
        return false;
    trigger->told_usec = now_usec;
    return true;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    PressureTrigger *trigger = userdata;
    PressureWatch *watch = trigger->watch;

    if (revents & EPOLLERR) {
        log_warning("The kernel has taken the trigger of %s pressure away; it is not watched any more.",
                    files[trigger->kind]);
        trigger_stop(trigger);
        return 0;
    }
    if ((revents & EPOLLPRI) && may_tell(trigger))
        watch->events.pressure(trigger->kind, watch->events.userdata);
    return 0;
}

static int trigger_open(const PressureTrigger *trigger)
{
    g_autofree char *path = g_build_filename(trigger->watch->directory, files[trigger->kind], NULL);
    uint64_t stall_usec = (uint64_t) (trigger->line / 100.0 * (double) WINDOW_USEC);
    char text[64];

    stall_usec = CLAMP(stall_usec, STALL_MIN_USEC, WINDOW_USEC);
    int n = g_snprintf(text, sizeof text, "some %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, stall_usec, WINDOW_USEC);
    _cleanup_close_ int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, (size_t) n + 1) < 0) /* with the NUL: the kernel overwrites the last byte */
        return -errno;
    return steal_fd(&fd);
}

static int trigger_start(PressureTrigger *trigger)
{
    _cleanup_close_ int fd = trigger_open(trigger);

    if (fd < 0)
        return fd;
    int r = sd_event_add_io(trigger->watch->event, &trigger->source, fd, EPOLLPRI, on_pressure, trigger);
    if (r < 0)
        return r;
    (void) sd_event_source_set_io_fd_own(trigger->source, 1);
    (void) steal_fd(&fd);
    return 0;
}

bool pressure_watch_watches(const PressureWatch *watch, PressureKind kind)
{
    return watch->triggers[kind].source != NULL;
}

static char *watched_kinds(const PressureWatch *watch)
{
    GString *text = g_string_new(NULL);

    for (unsigned kind = 0; kind < _PRESSURE_MAX; kind++)
        if (watch->triggers[kind].source)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", files[kind]);
    return g_string_free(text, FALSE);
}

void pressure_watch_set_lines(PressureWatch *watch, const double lines[_PRESSURE_MAX])
{
    int failure = 0;

    for (unsigned kind = 0; kind < _PRESSURE_MAX; kind++) {
        PressureTrigger *trigger = &watch->triggers[kind];
        double line = lines[kind] > 0 ? MIN(lines[kind], 100.0) : PRESSURE_LINE_NONE;
        if (trigger->source && trigger->line == line)
            continue;
        trigger_stop(trigger);
        trigger->line = line;
        if (line > 0) {
            int r = trigger_start(trigger);
            failure = r < 0 ? r : failure;
        }
    }
    if (failure == 0 || watch->told_of_failure)
        return;
    watch->told_of_failure = true;
    g_autofree char *kinds = watched_kinds(watch);
    log_warning_errno(failure, "This kernel does not tell all of the machine's pressure (%m); watching: %s.",
                      *kinds ? kinds : "none");
}

/* directory: "/proc/pressure", or a test's. */
static PressureWatch *watch_new(sd_event *event, const HostEvents *events)
{
    const char *directory = g_getenv("PAREXEC_PRESSURE_DIRECTORY");
    PressureWatch *watch = g_new0(PressureWatch, 1);

    watch->event = sd_event_ref(event);
    watch->events = *events;
    watch->directory = g_strdup(directory ? directory : "/proc/pressure");
    for (unsigned kind = 0; kind < _PRESSURE_MAX; kind++)
        watch->triggers[kind] = (PressureTrigger) { .watch = watch, .kind = kind, .line = PRESSURE_LINE_NONE };
    return watch;
}

int pressure_watch_new(sd_event *event, const double lines[_PRESSURE_MAX], const HostEvents *events, PressureWatch **ret)
{
    PressureWatch *watch = watch_new(event, events);

    pressure_watch_set_lines(watch, lines);
    *ret = watch;
    return 0;
}

PressureWatch *pressure_watch_free(PressureWatch *watch)
{
    if (!watch)
        return NULL;
    for (unsigned kind = 0; kind < _PRESSURE_MAX; kind++)
        trigger_stop(&watch->triggers[kind]);
    sd_event_unref(watch->event);
    g_free(watch->directory);
    g_free(watch);
    return NULL;
}
