/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/ports.h"

/* The truth about tasks, in SQLite, with a thread of its own: StorePort of core/ports.h.
 *
 * What is queued is carried out strictly in the order of the calls, and answered in that order from store_dispatch(). The
 * thread takes all that waits as one group, runs it in one transaction and commits, with a sync if one of the group needs
 * it; then come one counts_changed, so that whoever is answered finds the new counts, and the answers, each followed by the
 * batches that it ended. One exception: to cancel very many tasks takes several transactions; what is called meanwhile
 * comes in between, and is answered first.
 * While the disk refuses writes, what may be refused is answered with the errno; what must not be lost is kept, in order,
 * and tried again; no write overtakes what is kept; reads are answered from what was committed. */

typedef struct Store Store;

/* Opens or creates DIRECTORY/parexec.db, blocking. Logs why it cannot: -EPROTONOSUPPORT: of a newer version or not ours;
 * -EBUSY: another daemon uses it. The events are called from store_dispatch() only. */
int store_open(const char *directory, const StoreEvents *events, Store **ret, StoreSnapshot **ret_snapshot)
    _warn_unused_;

StorePort *store_port(Store *store);

/* Becomes readable when store_dispatch() has something to do. */
int store_get_fd(Store *store);
void store_dispatch(Store *store);

/* Carries out everything that is queued and closes the database; answers that were not dispatched are dropped. Takes
 * NULL, returns NULL. */
Store *store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)
