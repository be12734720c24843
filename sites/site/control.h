#ifndef SITE_CONTROL_H
#define SITE_CONTROL_H

#include "inside.h"
#include "proto/arena.h"
#include "proto/control.pb-c.h"

/* The inside of the control actor: control.c tells what the machines hold,
 * control_moves.c moves ports. */

enum {
    PAGE_ITEMS = 64,
    GROUP_PAGE_ITEMS = 16,
    GROUP_MEMBERS_MAX = 256,
};

typedef Motet__ControlReply reply_t;
typedef Motet__ControlRequest request_t;

/* All that a reply can point to; freed when it is packed. */
struct page {
    reply_t reply;
    Motet__ControlSite site;
    Motet__ControlMember members[PAGE_ITEMS];
    Motet__ControlMember *member_list[PAGE_ITEMS];
    Motet__ControlLink links[PAGE_ITEMS];
    Motet__ControlLink *link_list[PAGE_ITEMS];
    struct net_link_stats stats[PAGE_ITEMS];
    Motet__ControlPort ports[PAGE_ITEMS];
    Motet__ControlPort *port_list[PAGE_ITEMS];
    Motet__ControlMove moves[PAGE_ITEMS];
    Motet__ControlMove *move_list[PAGE_ITEMS];
    Motet__ControlActor actors[PAGE_ITEMS];
    Motet__ControlActor *actor_list[PAGE_ITEMS];
    Motet__ControlWhere where;
    Motet__ControlGroup groups[GROUP_PAGE_ITEMS];
    Motet__ControlGroup *group_list[GROUP_PAGE_ITEMS];
    char group_names[GROUP_PAGE_ITEMS][MOTET_NAME_MAX + 1];
    Motet__ControlGroupMember group_members[GROUP_PAGE_ITEMS]
                                           [GROUP_MEMBERS_MAX];
    Motet__ControlGroupMember
        *group_member_list[GROUP_PAGE_ITEMS][GROUP_MEMBERS_MAX];
};

#define SET(msg, field, value)  \
    do {                        \
        (msg)->has_##field = 1; \
        (msg)->field = (value); \
    } while (0)

/** protobuf-c keeps strings as char *; it does not write to them. */
static inline char *control_text(const char *borrowed)
{
    union {
        const char *in;
        char *out;
    } u = {.in = borrowed == NULL ? "" : borrowed};
    return u.out;
}

struct page *page_new(struct site *s);
/** Sends the reply to a held call and frees the page. */
void page_reply(struct site *s, uint64_t held, struct page *p);

/* ---- control_moves.c ---- */

/** @return false: it will be answered later */
bool control_migrate(struct site *s, const struct motet_view *v,
                     const request_t *q, struct page *p);
bool control_move(struct site *s, const struct motet_view *v,
                  const request_t *q, struct page *p);
void control_abort(struct site *s, const struct motet_view *v,
                   const request_t *q, struct page *p);
void control_moves(struct site *s, struct page *p);
void control_adopt(struct site *s, const request_t *q, struct page *p);
void control_where(struct site *s, const request_t *q, struct page *p);
void control_actors(struct site *s, const request_t *q, struct page *p);
void control_way(struct site *s, const struct motet_view *v, const request_t *q,
                 struct page *p);
void control_leave(struct site *s, const struct motet_view *v, struct page *p);

#endif
