#ifndef QEMU_GUEST_H
#define QEMU_GUEST_H

/* Names that the two sides of a guest share. */

#define GUEST_PORT_LINK "motet.link" /* virtio-serial ports */
#define GUEST_PORT_LOG "motet.log"
#define GUEST_PORT_CORE "core"
#define GUEST_PORT_EVENTS "motet.events" /* if a run is to be judged */

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
#define GUEST_KEY_FULL "full" /* "yes": there is no room for its state */

/* Of a guest in a run that is judged (motet chaos run): the folder of the run.
 * NAME.events in it is GUEST_PORT_EVENTS; where a boot begins there, a line
 * "boot NUMBER" says so. What the site writes there as NAME.* besides, the host
 * gets when it ends. */
#define GUEST_KEY_FOLDER "folder"
#define GUEST_KEY_NAME "name"
#define GUEST_KEY_BOOT "boot"

enum {
    GUEST_PROBE_CODE = 42, /* what a probe leaves with */
    GUEST_LOST_CODE = 41,  /* the host has not said what to do */
};

#endif
