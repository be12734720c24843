#include "state.h"

/* Sites, ports and groups: P5 one owner, P8 convergence, P9 identity. */

static void site_begins(struct check *c, const struct check_event *e)
{
    if (map_get(&c->sites, e->site, e->incarnation) != NULL) {
        check_violate(c, 9, e->site, "incarnation %u began twice",
                      e->incarnation);
        return;
    }
    struct site_rec *s = check_site(c, e->site, e->incarnation);
    s->live = true;
    c->counts.sites++;
    struct site_rec *before = map_remove(&c->newest, e->site, 0);
    if (before != NULL && before->incarnation > s->incarnation) {
        s = before;
    }
    check_index(&c->newest, e->site, 0, s);
}

void check_on_site(struct check *c, const struct check_event *e)
{
    if (e->what == CHECK_SITE_BEGIN) {
        site_begins(c, e);
        return;
    }
    struct site_rec *s = check_site(c, e->site, e->incarnation);
    if (e->what == CHECK_SITE_END) {
        s->live = false;
        s->end_ns = e->now_ns;
    } else if (e->what == CHECK_SITE_PAUSED) {
        s->paused_ns += e->value;
    } else if (e->what == CHECK_SITE_APART) {
        s->apart = true;
    } else if (e->what == CHECK_VIEW) {
        s->viewed = true;
        s->members_view = e->value;
        s->directory_view = e->value2;
    }
}

uint32_t check_views_differ(const struct check *c)
{
    const struct site_rec *first = NULL;
    uint32_t differ = 0;
    for (const struct site_rec *s = c->all_sites; s != NULL; s = s->next) {
        if (!s->live || s->apart) {
            continue;
        }
        if (first == NULL) {
            first = s;
        }
        differ += !s->viewed || s->members_view != first->members_view ||
                  s->directory_view != first->directory_view;
    }
    return differ;
}

static void issue(struct check *c, const struct check_event *e)
{
    char text[TEXT_OF_UI];
    if (map_get(&c->issued, e->port.hi, e->port.lo) != NULL) {
        check_violate(c, 9, e->site, "the UI %s was issued twice",
                      check_ui_text(e->port, text));
        return;
    }
    check_index(&c->issued, e->port.hi, e->port.lo, check_port(c, e->port));
}

static void own(struct check *c, const struct check_event *e, uint64_t epoch)
{
    char text[TEXT_OF_UI];
    struct port_rec *p = check_port(c, e->port);
    struct site_rec *s = check_site(c, e->site, e->incarnation);
    const bool again = p->home == s && p->live; /* it thaws, or is told twice */
    p->idle_ns = check_idle_ns(c, p);
    p->paused_before_ns = s->paused_ns;
    p->thawed_ns = p->frozen ? c->now_ns : p->thawed_ns;
    p->frozen = false;
    if (epoch == 0 && !p->live && p->home != NULL) {
        return; /* it has ended: only those who wait for it go on */
    }
    if (epoch == 0 || (again && epoch == p->epoch)) {
        epoch = p->epoch;
    } else if (epoch <= p->epoch) {
        check_violate(c, 5, e->site,
                      "epoch %llu of port %s after epoch %llu at site %llx",
                      (unsigned long long)epoch, check_ui_text(e->port, text),
                      (unsigned long long)p->epoch,
                      (unsigned long long)(p->home ? p->home->site : 0));
    }
    p->epoch = epoch;
    p->home = s;
    p->live = true;
}

static void freeze(struct check *c, struct port_rec *p)
{
    p->idle_ns = check_idle_ns(c, p);
    p->paused_before_ns = p->home != NULL ? p->home->paused_ns : 0;
    if (!check_catches_up(c, p)) {
        p->still_ns = c->now_ns;
    }
    p->frozen = true;
    p->frozen_ns = c->now_ns;
}

static void join(struct check *c, const struct check_event *e)
{
    struct port_rec *group = check_port(c, e->peer);
    struct port_rec *port = check_port(c, e->port);
    for (const struct join_rec *j = group->joined; j != NULL; j = j->next) {
        if (j->port == port) {
            return;
        }
    }
    struct join_rec *j = check_record(c, sizeof *j);
    j->port = port;
    j->next = group->joined;
    group->joined = j;
}

void check_on_port(struct check *c, const struct check_event *e)
{
    if (e->what == CHECK_UI_ISSUED) {
        issue(c, e);
    } else if (e->what == CHECK_PORT_BEGIN) {
        issue(c, e);
        own(c, e, check_port(c, e->port)->epoch + 1);
        c->counts.ports++;
    } else if (e->what == CHECK_PORT_END) {
        check_port(c, e->port)->live = false;
    } else if (e->what == CHECK_OWNER) {
        own(c, e, e->value);
    } else if (e->what == CHECK_FROZEN) {
        freeze(c, check_port(c, e->port));
    } else if (e->what == CHECK_JOIN) {
        join(c, e);
    }
}
