#ifndef BASE_IMAGE_H
#define BASE_IMAGE_H

#include <motet/err.h>
#include <motet/types.h>

#include "nucleus/base/msg.h"

/* What a moving port takes along, as a sequence of items. The nucleus and the
 * network manager of the source give them one by one, those of the destination
 * take them in the same order. proto/image.* carries them as bytes.
 *
 * Names in an item are those of the source: `id` of a held request, a call or a
 * watch stays what it is (no id of one site is ever the other's while both are
 * in use); tickets and fan-outs are named anew where they arrive. Times are
 * what is left (deadlines) or what has passed (ages); UINT64_MAX is never. */

enum image_kind {
    /* From the site. */
    IMAGE_ACTOR = 1, /* name, text: the kind of supervisor; data: its state. Its
                      * ports follow */
    IMAGE_TIMER,     /* id, left_ns: of that actor */

    /* From the nucleus, for each port. */
    IMAGE_PORT,    /* port, key, epoch, pi, enabled, priority, msgs, bytes
                    * (limits), seq */
    IMAGE_MEMBER,  /* peer: a group, name ("" if dynamic) */
    IMAGE_HELD,    /* id, msg (as it came), left_ns, place of the caller, flag:
                    * it was delivered, and holder: where to whom (site 0: to
                    * who comes along). A queued one is followed by its QUEUED */
    IMAGE_QUEUED,  /* peer: source, msg, seq, age_ns, id: of its held, or 0 */
    IMAGE_CALL,    /* id, peer: server, place of it (site 0: not accepted yet),
                    * left_ns, hops, err, err2: how it is being given up */
    IMAGE_WATCH,   /* id, peer: subject, place of it (site 0: not known yet) */
    IMAGE_WATCHER, /* id, peer: who watches, place of it */

    IMAGE_PARCEL,  /* ticket, role, notify, wait, flag: forwarded, peer:
                    * destination, token, left_ns, id: of the call, held, watch
                    * or fan-out it is for; msg where it keeps one. Its message
                    * is with the network manager */
    IMAGE_STALLED, /* likewise: the network manager had no room for it */
    IMAGE_WAITING, /* likewise: it waits for a member of `dest` */

    /* From the network manager, for each port. */
    IMAGE_SFLOW, /* port (source), peer (destination), returning, origin, base:
                  * una, hi, end, place of the destination, epoch: of it */
    IMAGE_KEPT,  /* of that flow, from una on: flag: live, ticket, msg, left_ns
                  */
    IMAGE_RFLOW, /* peer (source), port (destination), returning, place of the
                  * source, origin, epoch: of the source, base: next, pi */
    IMAGE_KIND_COUNT
};

/* An incarnation of a site. */
struct place_of {
    uint64_t site;
    uint32_t incarnation;
};

struct image_item {
    enum image_kind kind;
    struct motet_ui port;
    struct motet_ui peer;
    struct motet_dest dest;
    struct place_of place;
    struct place_of holder;
    struct motet_pi pi;
    struct msg msg; /* `data` is a reference of the item's own */
    uint64_t id;
    uint64_t key;
    uint64_t epoch;
    uint64_t seq;
    uint64_t ticket;
    uint64_t token;
    uint64_t left_ns;
    uint64_t age_ns;
    uint64_t base, hi, end;
    struct place_of origin; /* `incarnation` is unused */
    uint64_t origin_epoch;
    uint32_t msgs, bytes;
    uint32_t parts;
    enum motet_err err, err2;
    uint16_t hops;
    uint8_t role;
    uint8_t notify;
    uint8_t priority;
    bool enabled, flag, wait, returning;
    char name[MOTET_NAME_MAX + 1];
    char text[MOTET_NAME_MAX + 1];
    struct buf *data; /* ACTOR; a reference of the item's own */
};

/** Drops what the item refers to. */
static inline void image_release(struct image_item *it)
{
    buf_unref(it->msg.data);
    buf_unref(it->data);
    it->msg.data = NULL;
    it->data = NULL;
}

#endif
