// SPDX-License-Identifier: GPL-2.0-or-later
/* user_ns - what needs a user namespace, done in a child: namespaces(7), user_namespaces(7). */
#ifndef BASE_USER_NS_H
#define BASE_USER_NS_H

/* Run @fn in a child that shares our memory and descriptors, while the calling thread waits, in a user namespace of its
 * own in which the caller's user and group are themselves, and in what other new ones @flags asks for (CLONE_NEW*).
 * If anything is refused (some hosts make the namespace and then let nobody do anything in it) the caller is still where
 * it was. 0; -EPERM: it could not be set up, and @fn did not run; or what clone() says. */
int user_ns_run(int flags, void (*fn)(void *), void *opaque);

#endif
