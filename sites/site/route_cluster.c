#include <string.h>

#include "deaths.h"
#include "moves.h"
#include "route.h"

/* Effects of membership and of the directory. */

static void send_ctl(struct site *s, uint64_t site, const struct writer *w)
{
    CHECK(writer_ok(w));
    site_net(s, &(struct net_in){.kind = NET_IN_CTL,
                                 .site = site,
                                 .bytes = w->data,
                                 .size = (uint32_t)w->at});
}

void site_send_dir(struct site *s, uint64_t site, const struct dir_msg *msg)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    wire_encode_dir(msg, &w);
    send_ctl(s, site, &w);
}

void site_directory_gone(struct site *s, uint64_t site, uint32_t incarnation)
{
    enum motet_err err = route_directory(
        s, &(struct dir_in){
               .kind = DIR_IN_GONE, .site = site, .incarnation = incarnation});
    (void)err; /* only PUBLISH fails */
}

/* A life of it is known: those before are over, even if membership was never
 * told of them. */
static void site_lives(struct site *s, const struct member_effect *e)
{
    deaths_begin(s, e->site, e->incarnation - 1, NUC_SITE_DEAD);
    route_nucleus(s, &(struct nuc_in){.kind = NUC_SITE,
                                      .site = e->site,
                                      .incarnation = e->incarnation,
                                      .state = e->state == MEMBER_SUSPECT
                                                   ? NUC_SITE_UNREACHABLE
                                                   : NUC_SITE_REACHABLE});
}

static void on_member_state(struct site *s, const struct member_effect *e)
{
    struct site_log *l =
        route_log(s, SITE_LOG_MEMBER, e->name, e->address, NULL);
    struct net_in view = {.kind = NET_IN_VIEW};

    l->state = e->state;
    l->site = e->site;
    l->incarnation = e->incarnation;
    if (e->site != s->cfg.site) {
        if (e->state == MEMBER_DEAD || e->state == MEMBER_LEFT) {
            deaths_begin(s, e->site, e->incarnation,
                         e->state == MEMBER_DEAD ? NUC_SITE_DEAD
                                                 : NUC_SITE_LEFT);
        } else {
            site_lives(s, e);
        }
    }
    view.view_sites = members_alive(s->members, &view.view_lowest);
    site_net(s, &view);
}

static void on_member(struct site *s, const struct member_effect *e)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    switch (e->kind) {
    case MEMBER_SEND:
        wire_encode_member(e->msg, &w);
        send_ctl(s, e->site, &w);
        break;
    case MEMBER_STATE:
        on_member_state(s, e);
        break;
    case MEMBER_MEET:
        site_net(s, &(struct net_in){.kind = NET_IN_PEER,
                                     .site = e->site,
                                     .addr = e->address});
        break;
    case MEMBER_SELF_DEAD:
        route_rebirth(s, e->incarnation,
                      "the cluster holds this site for dead");
        break;
    }
}

bool route_drain_members(struct site *s)
{
    const struct member_effect *e;
    bool any = false;

    while ((e = members_effect(s->members)) != NULL) {
        on_member(s, e);
        any = true;
    }
    return any;
}

/* What is withdrawn says nothing: the port is somewhere else, or ended. */
static void on_owner(struct site *s, const struct dir_effect *e)
{
    const struct record *r = e->record;

    if (e->in) {
        site_net(s,
                 &(struct net_in){.kind = NET_IN_WHERE,
                                  .dst = r->subject,
                                  .site = r->site != 0 ? r->site : e->site,
                                  .incarnation = r->site != 0 ? r->incarnation
                                                              : e->incarnation,
                                  .epoch = r->epoch});
    }
}

static void on_directory(struct site *s, const struct dir_effect *e)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    switch (e->kind) {
    case DIR_SEND:
        wire_encode_dir(e->msg, &w);
        send_ctl(s, e->site, &w);
        break;
    case DIR_MEMBER:
        route_nucleus(s, &(struct nuc_in){.kind = NUC_GROUP_MEMBER,
                                          .dest = {.target = e->record->group},
                                          .name = e->record->name,
                                          .src = e->record->subject,
                                          .site = e->site,
                                          .epoch = e->record->epoch,
                                          .in = e->in});
        break;
    case DIR_OWNER:
        on_owner(s, e);
        break;
    }
}

bool route_drain_directory(struct site *s)
{
    const struct dir_effect *e;
    bool any = false;

    while ((e = directory_effect(s->directory)) != NULL) {
        on_directory(s, e);
        any = true;
    }
    return any;
}
