#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nucleus/base/ui.h"
#include "say.h"
#include "table.h"
#include "target.h"
#include "verbs.h"

/* motet watch: tells what becomes of a port, a group or a site, until it is
 * over. */

enum { SLICE_MS = 200 };

static struct watch {
    bool group;
    uint64_t count;
} watching;

struct subject {
    struct motet_ui ui;
    const char *word;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    stopped = signal;
}

/* ---- what is meant ---------------------------------------------------------
 */

static enum exit_code find_name(struct client *c, const char *word,
                                struct subject *s)
{
    struct motet_member members[2];
    size_t count = 0;

    if (!ui_name_ok(word)) {
        return say_fail(EXIT_USAGE, "this is no name");
    }
    s->ui = ui_of_name(word);
    enum motet_err err = motet_group_list(c->motet, s->ui, members, 2, &count);
    if (watching.group || count > 1) {
        return EXIT_DONE;
    }
    if (err != MOTET_OK || count == 0) {
        return target_failed(c, word, MOTET_E_NO_MEMBER, 0);
    }
    s->ui = members[0].port;
    return EXIT_DONE;
}

/* A UI, a site, or a name: its only member, or with several the group. */
static enum exit_code find(struct client *c, const char *word,
                           struct subject *s)
{
    struct site_names names;

    s->word = word;
    if (motet_ui_parse(word, &s->ui)) {
        return EXIT_DONE;
    }
    enum exit_code code = site_names_get(c, &names);
    if (code != EXIT_DONE) {
        return code;
    }
    const struct site_name *site = site_names_by_name(&names, word);
    if (site != NULL && !watching.group) {
        s->ui = ui_of_site(site->id);
    } else {
        code = find_name(c, word, s);
    }
    site_names_free(&names);
    return code;
}

/* ---- what is told ----------------------------------------------------------
 */

static const struct {
    enum motet_news news;
    const char *key;
    const char *text;
    bool last;
} all_news[] = {
    {MOTET_NEWS_CLOSED, "closed", "closed", true},
    {MOTET_NEWS_CRASHED, "crashed", "crashed", true},
    {MOTET_NEWS_SITE_DEAD, "site_dead", "died with its site", true},
    {MOTET_NEWS_LEFT, "left", "left with its site", true},
    {MOTET_NEWS_UNREACHABLE, "unreachable", "cannot be reached", false},
    {MOTET_NEWS_REACHABLE, "reachable", "can be reached again", false},
    {MOTET_NEWS_JOINED_GROUP, "joined", "has a new member", false},
    {MOTET_NEWS_LEFT_GROUP, "parted", "lost a member", false},
};

static const char *text_of(const struct subject *s, size_t i)
{
    if (ui_kind(s->ui) == UI_SITE && all_news[i].last) {
        return all_news[i].news == MOTET_NEWS_LEFT ? "left" : "died";
    }
    return all_news[i].text;
}

static bool print_news(struct client *c, const struct subject *s, size_t i,
                       const struct motet_msg *msg)
{
    char at[32];
    char ui[MOTET_UI_TEXT_MAX];
    char site[MOTET_NAME_MAX + 1];
    struct timespec t;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (options.output >= OUTPUT_JSON) {
        json_t *line = json_pack(
            "{s:s,s:s,s:s,s:I}", "subject", s->word, "news", all_news[i].key,
            "ui", motet_ui_text(msg->subject, ui), "time_ms",
            (json_int_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
        CHECK(line != NULL);
        bool ok = json_dumpf(line, stdout, JSON_COMPACT) == 0 &&
                  fputc('\n', stdout) != EOF;
        json_decref(line);
        return ok && fflush(stdout) == 0;
    }
    (void)localtime_r(&t.tv_sec, &tm);
    size_t n = strftime(at, sizeof at, "%H:%M:%S", &tm);
    snprintf(at + n, sizeof at - n, ".%03ld", t.tv_nsec / 1000000);
    printf("%s  %s %s", at, s->word, text_of(s, i));
    if (ui_is_group(s->ui)) {
        printf(": %s at %s", motet_ui_text(msg->subject, ui),
               target_site(c, msg->subject, site));
    }
    return fputc('\n', stdout) != EOF && fflush(stdout) == 0;
}

/* One piece of news. @return whether it was the last */
static bool take(struct client *c, const struct subject *s,
                 const struct motet_msg *msg, bool *failed)
{
    for (size_t i = 0; i < ARRAY_LEN(all_news); i++) {
        if (all_news[i].news == msg->news) {
            *failed = !print_news(c, s, i, msg);
            return all_news[i].last;
        }
    }
    return false;
}

static enum exit_code loop(struct client *c, struct motet_port *port,
                           const struct subject *s)
{
    struct motet_msg msg;
    uint64_t told = 0;
    bool failed = false;

    while (!stopped && !failed &&
           (watching.count == 0 || told < watching.count)) {
        enum motet_err err = motet_receive(port, &msg, SLICE_MS);
        if (err == MOTET_E_TIMEOUT) {
            continue;
        }
        if (err != MOTET_OK) {
            return say_fail(EXIT_NO_CLUSTER, "site %s is lost: %s", c->at->name,
                            motet_err_text(err));
        }
        if (msg.kind == MOTET_MSG_NEWS) {
            told++;
            if (take(c, s, &msg, &failed)) {
                break;
            }
        }
    }
    return failed               ? EXIT_FAILED
           : stopped == SIGTERM ? EXIT_TERMINATED
           : stopped            ? EXIT_INTERRUPTED
                                : EXIT_DONE;
}

static enum exit_code watch_run(char **args, unsigned count)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct cluster cluster;
    struct client c;
    struct subject s;
    struct motet_port *port;
    uint64_t watch;
    (void)count;

    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = find(&c, args[0], &s);
    if (code == EXIT_DONE) {
        enum motet_err err = motet_port_create(c.motet, NULL, &port);
        if (err == MOTET_OK) {
            err = motet_watch(port, s.ui, &watch);
        }
        if (err == MOTET_OK) {
            say("watching %s from %s (Ctrl-C to stop)", args[0], c.at->name);
            code = loop(&c, port, &s);
        } else {
            code = say_fail(exit_of(err), "%s", motet_err_text(err));
        }
    }
    client_leave(&c);
    return code;
}

static const struct flag flags[] = {
    {"group", 'g', NULL, FLAG_SWITCH, offsetof(struct watch, group),
     "the group of that name, not its only member"},
    {"count", 'n', "N", FLAG_COUNT, offsetof(struct watch, count),
     "end after N pieces of news"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_watch = {
    .name = "watch",
    .args = "NAME|SITE|UI",
    .args_min = 1,
    .args_max = 1,
    .flags = flags,
    .into = &watching,
    .run = watch_run,
    .summary = "tell what becomes of a port, a group or a site",
    .examples = "  motet watch site2\n  motet watch echo --group --json\n",
    .exits = "0 2 3 7 77 124 130 143",
};
