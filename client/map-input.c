/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of stdin from the event loop: of a pipe when there are some, of a file (which epoll does not take)
 * one piece per round, so that what else happens is not kept waiting. Owned by the verb. */

#include "client/map-input.h"

#include <sys/epoll.h>

#include "client/output.h"

#define READ_BYTES 65536U

struct MapInput {
    Client *client;
    const MapInputHandler *handler;
    void *userdata;
    LineReader reader;
    sd_event_source *source;
    bool ended;
    char buffer[READ_BYTES];
};

MapInput *map_input_free(MapInput *input)
{
    if (!input)
        return NULL;
    input->source = sd_event_source_disable_unref(input->source);
    line_reader_done(&input->reader);
    g_free(input);
    return NULL;
}

static int hand_out(const char *line, void *userdata)
{
    MapInput *input = userdata;

    input->handler->item(line, input->userdata);
    return 0;
}

static void end(MapInput *input, int r)
{
    input->ended = true;
    (void) sd_event_source_set_enabled(input->source, SD_EVENT_OFF);
    if (r == -EILSEQ)
        r = line_reader_report_nul(input->client, &input->reader, "stdin");
    input->handler->end(r, input->userdata);
}

static int read_piece(MapInput *input)
{
    ssize_t n = read(STDIN_FILENO, input->buffer, sizeof input->buffer);
    int r;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n < 0)
        r = output_failure(input->client, errno, _("cannot read %s: %s"), "stdin", g_strerror(errno));
    else if (n == 0)
        r = line_reader_end(&input->reader, hand_out, input);
    else
        r = line_reader_feed(&input->reader, input->buffer, (size_t) n, hand_out, input);
    if (r < 0 || n == 0)
        end(input, r);
    else
        input->handler->pause(input->userdata);
    return 0;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    return read_piece(userdata);
}

static int on_turn(sd_event_source *source, void *userdata)
{
    return read_piece(userdata);
}

void map_input_enable(MapInput *input, bool enable)
{
    if (!input->ended)
        (void) sd_event_source_set_enabled(input->source, enable ? SD_EVENT_ON : SD_EVENT_OFF);
}

int map_input_new(Client *client, const MapInputHandler *handler, void *userdata, MapInput **ret)
{
    g_autoptr(MapInput) input = g_new0(MapInput, 1);

    input->client = client;
    input->handler = handler;
    input->userdata = userdata;
    line_reader_init(&input->reader);
    int r = sd_event_add_io(client->event, &input->source, STDIN_FILENO, EPOLLIN, on_readable, input);
    if (r == -EPERM)
        r = sd_event_add_defer(client->event, &input->source, on_turn, input);
    if (r >= 0)
        r = sd_event_source_set_enabled(input->source, SD_EVENT_ON);
    if (r < 0)
        return output_failure(client, r, _("cannot read %s: %s"), "stdin", g_strerror(-r));
    *ret = g_steal_pointer(&input);
    return 0;
}
