#ifndef QEMU_GUEST_H
#define QEMU_GUEST_H

/* Names that the two sides of a guest share. */

#define GUEST_PORT_LINK "motet.link" /* virtio-serial ports */
#define GUEST_PORT_LOG "motet.log"
#define GUEST_PORT_CORE "core"

#define GUEST_MODULES "/modules"       /* in the image: paths, in load order */
#define GUEST_MOTETD "/bin/motetd"     /* in the image */
#define GUEST_WORD_PROBE "motet.probe" /* only say that it boots, and end */

/* Keys of START; each is there once. */
#define GUEST_KEY_ADDRESS "address" /* 10.77.0.3 */
#define GUEST_KEY_WALL "wall_ns"    /* time of the host's clock */
#define GUEST_KEY_CHANCE "chance"   /* 64 hex digits */
#define GUEST_KEY_CONF "conf"       /* paths; the same as on the host */
#define GUEST_KEY_STATE "state"
#define GUEST_KEY_SOCKET "socket"

enum {
    GUEST_PROBE_CODE = 42, /* what a probe leaves with */
    GUEST_LOST_CODE = 41,  /* the host has not said what to do */
};

#endif
