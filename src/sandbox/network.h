/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * network - a network namespace without a network; private to sandbox/. The kernel takes longer to make one than for all
 * else together. So root's VMs share one, which the first of them makes and leaves at NETWORK_SHARED; others make their
 * own, on a thread, while main starts the VM. Main.
 */
#ifndef SANDBOX_NETWORK_H
#define SANDBOX_NETWORK_H

#include <stdbool.h>

#define NETWORK_SHARED_DIR "/run/lodge"
#define NETWORK_SHARED	   NETWORK_SHARED_DIR "/.net"

/* Begin. @share: where there is one for all, take that, and leave one if not. */
void network_begin(bool share);
/* Main is in it from now on. Before it leaves the host's mount namespace. False: this host or user may not. */
bool network_join(void);
/* It will not be joined. */
void network_forget(void);

#endif
