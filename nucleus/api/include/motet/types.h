#ifndef MOTET_TYPES_H
#define MOTET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The words shared by the library, the site and the wire. */

/* A unique identifier: 128 bits, never reused, never saying where the thing is
 * now. Opaque: compare with motet_ui_equal(), print with motet_ui_text(). */
struct motet_ui {
    uint64_t hi;
    uint64_t lo;
};

/* The right to manage what `ui` names. The key is secret: it is never needed to
 * send to a port or to a group. */
struct motet_cap {
    struct motet_ui ui;
    uint64_t key;
};

/* Protection identifier of an actor, stamped by the nucleus on every message
 * it sends (ChorusOS KnProtId). The nucleus gives it no meaning. */
struct motet_pi {
    uint32_t uid;
    uint32_t gid;
    uint32_t domain;
};

enum {
    MOTET_ANNEX_MAX = 120,         /* bytes of annex in a message */
    MOTET_NAME_MAX = 63,           /* bytes of a site, group or actor name */
    MOTET_UI_TEXT_MAX = 36,        /* bytes of motet_ui_text(), with the NUL */
    MOTET_BODY_DEFAULT = 16 << 20, /* default limit of a body, bytes */
};

#define MOTET_FOREVER (-1) /* a time-out that never comes, milliseconds */

/* How a group is addressed (ChorusOS ipcTarget). */
enum motet_mode {
    MOTET_TO_ANY,         /* one member, in turn */
    MOTET_TO_ALL,         /* every member known now; not for calls */
    MOTET_TO_ON_SITE,     /* one member on the site of `co` */
    MOTET_TO_NOT_ON_SITE, /* one member not on the site of `co` */
    MOTET_TO_NEAREST,     /* one member: here, else least round trip */
    MOTET_MODE_COUNT
};

/* Where a message goes: a port, or a group in a mode. */
struct motet_dest {
    struct motet_ui target;
    enum motet_mode mode; /* ignored for a port */
    struct motet_ui co;   /* any UI, for ON_SITE and NOT_ON_SITE */
    bool wait;            /* an empty group: wait for a member until the
                           * deadline, instead of MOTET_E_NO_MEMBER at once */
};

/* What a watch reports. The first four are terminal: exactly one of them ends
 * a watch of a port or a site, after the last message from there. */
enum motet_news {
    MOTET_NEWS_CLOSED = 1, /* the port was deleted, or does not exist */
    MOTET_NEWS_CRASHED,    /* its actor died */
    MOTET_NEWS_SITE_DEAD,  /* its site died */
    MOTET_NEWS_LEFT,       /* the site left in good order */
    MOTET_NEWS_UNREACHABLE,
    MOTET_NEWS_REACHABLE,
    MOTET_NEWS_JOINED_GROUP, /* `ui` is a new member of a watched group */
    MOTET_NEWS_LEFT_GROUP,   /* `ui` is no member any more */
};

#endif
