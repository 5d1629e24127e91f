/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clients that we need to remember. The bus is asked with GetConnectionCredentials, asynchronously and once for each
 * unique name; what it tells was fixed by the kernel when the client connected, so a client cannot change it later. One
 * match for all names that vanish keeps the table from growing. */
#include "bus/peer.h"

#include <stdio.h>
#include <string.h>

#include "dbus/parexec-dbus.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

struct Peers {
    sd_bus *bus;
    GHashTable *by_name; /* name (in the peer) → Peer */
    sd_bus_slot *vanished;
    unsigned n_subscribed;
    void (*gone)(Peer *peer, void *userdata);
    void *userdata;
};

static void message_unref(gpointer m)
{
    sd_bus_message_unref(m);
}

static void peer_free(gpointer data)
{
    Peer *peer = data;

    g_free(peer->name);
    g_free(peer->groups);
    g_array_unref(peer->open_batches);
    g_clear_pointer(&peer->waiting, g_ptr_array_unref);
    g_free(peer);
}

static Peer *peer_new(const char *name)
{
    Peer *peer = g_new0(Peer, 1);

    peer->name = g_strdup(name);
    peer->open_batches = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    peer->waiting = g_ptr_array_new_with_free_func(message_unref);
    return peer;
}

static bool in_groups(const Peer *peer, uint32_t gid)
{
    for (size_t i = 0; i < peer->n_groups; i++)
        if (peer->groups[i] == gid)
            return true;
    return false;
}

/* The bus tells the set of groups, not which one is primary. /proc does, of whatever the process is by now: it may have
 * executed a set-group-id program since, so only a group that it had when it connected is believed. */
static uint32_t primary_gid(const Peer *peer)
{
    char path[64], line[256];
    uint32_t real;
    FILE *file;

    (void) snprintf(path, sizeof path, "/proc/%d/status", peer->pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Gid: %u", &real) == 1 && in_groups(peer, real)) {
            (void) fclose(file);
            return real;
        }
    if (file)
        (void) fclose(file);
    return peer->groups[0];
}

static int read_credentials(sd_bus_message *m, Peer *peer)
{
    const char *key;
    const void *groups;
    size_t size;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    peer->uid = UINT32_MAX;
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read_basic(m, 's', &key);
        if (r >= 0 && strcmp(key, "UnixUserID") == 0)
            r = sd_bus_message_read(m, "v", "u", &peer->uid);
        else if (r >= 0 && strcmp(key, "ProcessID") == 0)
            r = sd_bus_message_read(m, "v", "u", &peer->pid);
        else if (r >= 0 && strcmp(key, "UnixGroupIDs") == 0) {
            r = sd_bus_message_enter_container(m, 'v', "au");
            if (r >= 0)
                r = sd_bus_message_read_array(m, 'u', &groups, &size);
            if (r >= 0) {
                g_free(peer->groups);
                peer->groups = g_memdup2(groups, size);
                peer->n_groups = size / sizeof *peer->groups;
                r = sd_bus_message_exit_container(m);
            }
        } else if (r >= 0)
            r = sd_bus_message_skip(m, "v");
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    if (r >= 0 && (peer->uid == UINT32_MAX || peer->n_groups == 0))
        return -ENODATA;
    return r;
}

static void refuse_waiting(Peer *peer)
{
    for (guint i = 0; i < peer->waiting->len; i++)
        (void) sd_bus_reply_method_errorf(peer->waiting->pdata[i], PAREXEC_ERROR_NOT_AUTHORIZED,
                                          "The bus does not tell who you are.");
}

typedef struct Asking {
    Peers *peers;
    char name[]; /* the peer may be gone when the answer comes */
} Asking;

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Asking *asking = userdata;
    Peers *peers = asking->peers;
    Peer *peer = g_hash_table_lookup(peers->by_name, asking->name);

    if (!peer || peer->known)
        return 0;
    int r =
        sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m) : read_credentials(m, peer);
    if (r < 0) {
        log_warning_errno(r, "The bus does not tell who %s is: %m", peer->name);
        refuse_waiting(peer);
        g_hash_table_remove(peers->by_name, peer->name);
        return 0;
    }
    peer->gid = primary_gid(peer);
    peer->known = true;
    g_autoptr(GPtrArray) waiting = g_steal_pointer(&peer->waiting);
    for (guint i = 0; i < waiting->len; i++)
        (void) sd_bus_enqueue_for_read(peers->bus, waiting->pdata[i]);
    return 0;
}

static int ask(Peers *peers, const Peer *peer)
{
    g_autoptr(sd_bus_slot) slot = NULL;
    size_t n = strlen(peer->name) + 1;
    Asking *asking = g_malloc(sizeof *asking + n);

    asking->peers = peers;
    memcpy(asking->name, peer->name, n);
    int r = sd_bus_call_method_async(peers->bus, &slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetConnectionCredentials", on_credentials,
                                     asking, "s", peer->name);
    if (r >= 0)
        r = sd_bus_slot_set_destroy_callback(slot, g_free);
    if (r < 0) {
        g_free(asking);
        return r;
    }
    return sd_bus_slot_set_floating(slot, 1);
}

int peers_identify(Peers *peers, sd_bus_message *m, Peer **ret)
{
    const char *name = sd_bus_message_get_sender(m);

    if (!name)
        return -EACCES;
    Peer *peer = g_hash_table_lookup(peers->by_name, name);
    if (peer && peer->known) {
        *ret = peer;
        return 1;
    }
    if (!peer) {
        peer = peer_new(name);
        g_hash_table_insert(peers->by_name, peer->name, peer);
        int r = ask(peers, peer);
        if (r < 0) {
            g_hash_table_remove(peers->by_name, name);
            return r;
        }
    }
    g_ptr_array_add(peer->waiting, sd_bus_message_ref(m));
    return 0;
}

static int on_name_vanished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Peers *peers = userdata;
    const char *name, *old, *new;

    if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0 || *new)
        return 0;
    Peer *peer = g_hash_table_lookup(peers->by_name, name);
    if (!peer)
        return 0;
    peers_set_subscribed(peers, peer, false);
    peers->gone(peer, peers->userdata);
    g_hash_table_remove(peers->by_name, name);
    return 0;
}

int peers_new(sd_bus *bus, void (*gone)(Peer *, void *), void *userdata, Peers **ret)
{
    Peers *peers = g_new0(Peers, 1);

    peers->bus = bus;
    peers->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, peer_free);
    peers->gone = gone;
    peers->userdata = userdata;
    int r =
        sd_bus_add_match_async(bus, &peers->vanished,
                               "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                               "member='NameOwnerChanged',arg2=''",
                               on_name_vanished, NULL, peers);
    if (r < 0) {
        peers_free(peers);
        return r;
    }
    *ret = peers;
    return 0;
}

Peers *peers_free(Peers *peers)
{
    if (!peers)
        return NULL;
    sd_bus_slot_unref(peers->vanished);
    g_hash_table_unref(peers->by_name);
    g_free(peers);
    return NULL;
}

void peers_set_subscribed(Peers *peers, Peer *peer, bool subscribed)
{
    if (peer->subscribed == subscribed)
        return;
    peer->subscribed = subscribed;
    if (subscribed)
        peers->n_subscribed++;
    else
        peers->n_subscribed--;
}

bool peers_any_subscribed(const Peers *peers)
{
    return peers->n_subscribed > 0;
}

void peers_broadcast(Peers *peers, const char *interface, const char *member,
                     int (*fill)(sd_bus_message *, void *), void *userdata)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, peers->by_name);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        g_autoptr(sd_bus_message) m = NULL;
        const Peer *peer = value;
        if (!peer->subscribed)
            continue;
        int r = sd_bus_message_new_signal(peers->bus, &m, PAREXEC_PATH, interface, member);
        if (r >= 0)
            r = fill(m, userdata);
        if (r >= 0)
            r = sd_bus_message_set_destination(m, peer->name);
        if (r >= 0)
            r = sd_bus_send(peers->bus, m, NULL);
        if (r < 0)
            log_debug_errno(r, "Cannot tell %s of %s: %m", peer->name, member);
    }
}
