#include "report.h"

#include <motet/err.h>

static const char *state_text(enum member_state state)
{
    switch (state) {
    case MEMBER_ALIVE:
        return "alive";
    case MEMBER_SUSPECT:
        return "suspect: it does not answer";
    case MEMBER_DEAD:
        return "dead";
    case MEMBER_LEFT:
        return "gone in good order";
    }
    return "?";
}

static void report_member(struct log *l, const struct site_log *w)
{
    bool bad = w->state == MEMBER_SUSPECT || w->state == MEMBER_DEAD;

    log_line(l, bad ? LOG_WARN : LOG_NOTE, "member %s is %s (incarnation %u)",
             w->name, state_text(w->state), w->incarnation);
}

void report_log(struct log *l, const struct site_log *w)
{
    const char *why = w->detail[0] != '\0' ? w->detail : motet_err_text(w->err);
    char text[MOTET_UI_TEXT_MAX];

    switch (w->kind) {
    case SITE_LOG_SESSION_UP:
        log_line(l, LOG_NOTE, "session with %s at %s, incarnation %u", w->name,
                 w->addr, w->incarnation);
        break;
    case SITE_LOG_SESSION_DOWN:
        log_line(l, LOG_WARN, "session with %s broke; dialing again", w->name);
        break;
    case SITE_LOG_MEMBER:
        report_member(l, w);
        break;
    case SITE_LOG_REFUSED_PEER:
        log_line(l, LOG_WARN, "refused site %016llx incarnation %u: %s (%s)",
                 (unsigned long long)w->site, w->incarnation, why,
                 motet_err_text(w->err));
        break;
    case SITE_LOG_REFUSED_US:
        log_line(l, LOG_WARN, "refused by site %016llx: %s (%s)",
                 (unsigned long long)w->site, why, motet_err_text(w->err));
        break;
    case SITE_LOG_STRANGER:
        log_line(l, LOG_WARN, "closed a connection: %s (%s)", why,
                 motet_err_text(w->err));
        break;
    case SITE_LOG_REBIRTH:
        log_line(l, LOG_WARN, "this incarnation is over: %s", why);
        break;
    case SITE_LOG_ACTOR:
        log_line(l, LOG_ERROR, "actor %s could not start: %s", w->name,
                 motet_err_text(w->err));
        break;
    case SITE_LOG_PATH_UP:
        log_line(l, LOG_NOTE, "path to %s over UDP is up", w->name);
        break;
    case SITE_LOG_PATH_DOWN:
        log_line(l, LOG_WARN, "path to %s over UDP is down: %s", w->name, why);
        break;
    case SITE_LOG_STALL:
        log_line(l, LOG_WARN, "the loop was late by %llu ms",
                 (unsigned long long)(w->value / 1000000));
        break;
    case SITE_LOG_MOVE:
    case SITE_LOG_PORT_FROZEN:
    case SITE_LOG_PORT_HERE:
        break; /* for checkers; who wants to know asks the control port */
    case SITE_LOG_PORT_AWAY:
        (void)motet_ui_text(w->port, text);
        log_line(l, LOG_WARN, "port %s died with the site it was given to",
                 text);
        break;
    }
}
