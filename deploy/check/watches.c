#include "nucleus/base/ui.h"
#include "state.h"

/* P7: watches. */

static bool is_terminal(enum motet_news news)
{
    return news >= MOTET_NEWS_CLOSED && news <= MOTET_NEWS_LEFT;
}

static void begin(struct check *c, const struct check_event *e)
{
    if (e->id == 0 || map_get(&c->watches, e->id, 0) != NULL) {
        check_violate(c, 7, e->site, "watch %llu began twice",
                      (unsigned long long)e->id);
        return;
    }
    struct watch_rec *w = check_record(c, sizeof *w);
    w->id = e->id;
    w->site = check_site(c, e->site, e->incarnation);
    w->port = check_port(c, e->port);
    w->subject = check_port(c, e->peer);
    w->begin_ns = e->now_ns;
    const struct dead_rec *met =
        map_get(&c->met, w->site->index, ui_site(e->peer));
    w->met_incarnation = met != NULL ? met->incarnation : 0;
    w->next = c->all_watches;
    c->all_watches = w;
    c->counts.watches++;
    check_index(&c->watches, e->id, 0, w);
}

/* From now on nothing comes from there. Of a site, a later incarnation may
 * speak; and a site that was not known at all when the watch began counts as
 * dead until it is: so only what the watching site had heard of is gone. */
static void mark_dead(struct check *c, const struct watch_rec *w,
                      enum motet_news news)
{
    const bool of_port =
        news == MOTET_NEWS_CLOSED || news == MOTET_NEWS_CRASHED;
    const struct site_rec *home = w->subject->home;
    const bool moved = home != NULL && home->site != ui_site(w->subject->ui);
    const uint32_t incarnation = of_port ? UINT32_MAX
                                 : moved ? home->incarnation
                                         : w->met_incarnation;
    struct dead_rec *d = map_get(&c->dead, w->port->index, w->subject->index);
    if (d == NULL) {
        d = check_record(c, sizeof *d);
        check_index(&c->dead, w->port->index, w->subject->index, d);
    }
    if (incarnation > d->incarnation || of_port || moved) {
        d->site = moved ? home->site : ui_site(w->subject->ui);
        d->incarnation = incarnation;
    }
}

static void count_news(struct check *c, enum motet_news news)
{
    c->counts.news_closed += news == MOTET_NEWS_CLOSED;
    c->counts.news_crashed += news == MOTET_NEWS_CRASHED;
    c->counts.news_dead += news == MOTET_NEWS_SITE_DEAD;
    c->counts.news_other += news > MOTET_NEWS_SITE_DEAD;
}

static void news(struct check *c, const struct check_event *e)
{
    char text[TEXT_OF_UI];
    struct watch_rec *w = map_get(&c->watches, e->id, 0);
    count_news(c, e->news);
    if (w == NULL || !ui_equal(w->port->ui, e->port)) {
        check_violate(c, 7, e->site, "news of watch %llu that nobody made",
                      (unsigned long long)e->id);
        return;
    }
    if (w->ended || w->stopped) {
        check_violate(c, 7, e->site, "news %d of %s after the watch %s",
                      (int)e->news, check_ui_text(w->subject->ui, text),
                      w->ended ? "had its last news" : "was ended");
        return;
    }
    if (!is_terminal(e->news)) {
        return;
    }
    if ((e->news == MOTET_NEWS_CLOSED || e->news == MOTET_NEWS_CRASHED) &&
        check_alive(w->subject)) {
        check_violate(c, 7, e->site, "port %s lives, but is told to be %s",
                      check_ui_text(w->subject->ui, text),
                      e->news == MOTET_NEWS_CLOSED ? "closed" : "crashed");
    }
    w->ended = true;
    if (!ui_is_group(w->subject->ui)) {
        mark_dead(c, w, e->news);
    }
}

void check_on_watch(struct check *c, const struct check_event *e)
{
    if (e->what == CHECK_WATCH_BEGIN) {
        begin(c, e);
    } else if (e->what == CHECK_NEWS) {
        news(c, e);
    } else {
        struct watch_rec *w = map_get(&c->watches, e->id, 0);
        if (w != NULL) {
            w->stopped = true;
        }
    }
}

void check_news_order(struct check *c, const struct port_rec *src,
                      const struct port_rec *dst, uint64_t site, uint64_t id)
{
    char text[TEXT_OF_UI];
    if (c->dead.count == 0 || src->home == NULL) {
        return;
    }
    const struct motet_ui home = ui_of_site(src->home->site);
    const struct port_rec *of_home = map_get(&c->ports, home.hi, home.lo);
    const struct dead_rec *d = map_get(&c->dead, dst->index, src->index);
    if (d == NULL && of_home != NULL) {
        d = map_get(&c->dead, dst->index, of_home->index);
    }
    if (d != NULL &&
        (d->site == src->home->site || d->incarnation == UINT32_MAX) &&
        src->home->incarnation <= d->incarnation) {
        check_violate(c, 7, site, "message %llu comes from %s after its end",
                      (unsigned long long)id, check_ui_text(src->ui, text));
    }
}

/* Whether the subject is gone for everybody who still waits for its news. Of a
 * site: the incarnation that was known here when the watch began. */
static bool is_gone(const struct check *c, const struct watch_rec *w)
{
    if (ui_is_group(w->subject->ui)) {
        return false;
    }
    if (ui_kind(w->subject->ui) != UI_SITE) {
        return !check_alive(w->subject) || w->subject->home->apart;
    }
    for (const struct site_rec *s = c->all_sites; s != NULL; s = s->next) {
        if (s->site == ui_site(w->subject->ui) &&
            s->incarnation == w->met_incarnation &&
            ((!s->live && s->end_ns >= w->begin_ns) || s->apart)) {
            return true;
        }
    }
    return false;
}

void check_end_watches(struct check *c)
{
    char text[TEXT_OF_UI];
    for (const struct watch_rec *w = c->all_watches; w != NULL; w = w->next) {
        if (w->ended || w->stopped || !check_alive(w->port) ||
            check_apart(w->port) || !is_gone(c, w) ||
            c->now_ns - w->begin_ns < c->cfg.settle_ns) {
            continue;
        }
        check_violate(c, 7, w->site->site,
                      "%s is gone, and its watch %llu was never told",
                      check_ui_text(w->subject->ui, text),
                      (unsigned long long)w->id);
    }
}
