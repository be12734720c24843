#ifndef SWITCH_CLIENT_H
#define SWITCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* Asking a running motet-switch, over its unix stream socket.
 *
 * A question is one line of words, the answer one line of JSON. All answers
 * have "ok"; if it is false, "error" says why for people. Any number of
 * questions may follow each other on a connection; answers come in order.
 *
 *   port NAME dgram LOCAL REMOTE   a guest: -netdev dgram,id=n0,
 *                                  local.type=unix,local.path=REMOTE,
 *                                  remote.type=unix,remote.path=LOCAL
 *                                  (the switch binds LOCAL and sends to REMOTE)
 *   port NAME stream PATH          a guest: -netdev stream,id=n0,server=off,
 *                                  addr.type=unix,addr.path=PATH
 *   port NAME namespace ADDR/BITS [MAC]
 *                                  a new network namespace with a TAP device
 *                                  eth0 of that address. The answer has
 *                                  "netns": a path for setns(). It lives as
 *                                  long as the switch and those inside
 *   port NAME tap IFNAME [NETNS]   a TAP device in ours, or in that namespace
 *   port NAME relay HOST:PORT VIA  a process that listens on HOST:PORT and
 *                                  dials all others at the address VIA of
 *                                  loopback, each at its own port
 *   unport NAME                    the port and its faults' share are gone
 *
 *   set FROM TO WORDS...           the link as it is without faults ("delay=5ms
 *                                  loss=1%"); changes only what is named
 *   fault NAME FROM DIR TO [for=TIME] WORDS...
 *                                  a fault with a name: over what is set, until
 *                                  its end. DIR: -> or <->. An existing name is
 *                                  replaced. for=0: until it is healed
 *   heal NAME                      ends one fault
 *   heal FROM TO                   ends the faults between these, both ways
 *   heal                           ends all faults
 *   faults                         {"items":[{"name","from","to","both",
 *                                  "words","left_ns" (null: no end)}]}
 *
 *   ports                          {"items":[{"name","kind","netns","mac","rx",
 *                                  "tx","lost"}]}
 *   links [FROM [TO]]              {"items":[{"from","to","words","packets",
 *                                  "bytes","passed","cut","blackhole","loss",
 *                                  "burst","queue","duplicated","reordered",
 *                                  "corrupted","delayed"}]}
 *   seed N                         draws anew, and statistics from 0
 *   capture FILE [PORT]            pcapng of all ports, or of one (that was
 *                                  sent to it and by it); replaces the last one
 *   capture off
 *   keep                           the end of the starter is no longer ours
 *   quit
 *
 * FROM, TO: a port, several with commas between, or *. A link from a port to
 * itself does not exist and is left out. */

enum { SWITCH_LINE_MAX = 4096, SWITCH_PORTS_MAX = 65, SWITCH_FAULTS_MAX = 256 };

/** @return a descriptor, -1 with errno */
int switch_connect(const char *path);

/**
 * Asks and waits for the answer, `timeout_ms` at most.
 *
 * @param line   without its end
 * @param reply  set to the answer, malloc'ed, without its end; NULL on failure
 * @return false with errno
 */
MUST_USE bool switch_ask(int fd, const char *line, int timeout_ms,
                         char **reply);

#endif
