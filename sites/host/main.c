#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "host.h"
#include "nucleus/base/version.h"
#include "sites/actors/actors.h"
#include "sites/plugin/plugin.h"

/* motetd: a site as a process. Exit codes as in motet(1): 0 ended in good
 * order, 2 wrong usage, 75 failed (try again), 78 will not get better by
 * itself. */

enum { EXIT_USAGE = 2, EXIT_TEMPFAIL = 75, EXIT_CONFIG = 78 };

enum {
    KEY_CONFIG = 'c',
    KEY_FIRST = 0x100, /* + the number of the key in config.h */
    KEYS_MAX = 32,
};

struct told {
    struct config config;
    const char *flags[KEYS_MAX * CONFIG_LIST_MAX]; /* value of each flag */
    size_t keys[KEYS_MAX * CONFIG_LIST_MAX];
    size_t count;
    const char *file;
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct told *t = state->input;

    if (key == KEY_CONFIG) {
        t->file = arg;
        return 0;
    }
    if (key < KEY_FIRST || key >= KEY_FIRST + KEYS_MAX) {
        return ARGP_ERR_UNKNOWN;
    }
    if (t->count == ARRAY_LEN(t->keys)) {
        argp_error(state, "too many flags");
    }
    t->keys[t->count] = (size_t)(key - KEY_FIRST);
    t->flags[t->count++] = arg == NULL ? "yes" : arg;
    return 0;
}

static void parse(struct told *t, int argc, char **argv)
{
    struct argp_option options[KEYS_MAX + 2] = {
        {"config", KEY_CONFIG, "FILE", 0, "file of key = value lines", 0}};
    bool is_switch;
    const char *help;
    const char *name;

    for (size_t i = 0; (name = config_key(i, &help, &is_switch)) != NULL; i++) {
        CHECK(i < KEYS_MAX);
        options[i + 1] = (struct argp_option){
            .name = name,
            .key = KEY_FIRST + (int)i,
            .arg = is_switch ? NULL : "VALUE",
            .doc = help,
        };
    }
    const struct argp argp = {
        .options = options,
        .parser = on_option,
        .doc = "Runs one site of a Motet cluster.\v"
               "\"motet up\" makes certificates and starts a whole cluster.",
    };
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, t);
}

/* The file first, then the flags: they win. */
static bool configure(struct told *t, char *why)
{
    const char *help;
    bool is_switch;

    if (t->file != NULL && !config_read(&t->config, t->file, why)) {
        return false;
    }
    for (size_t i = 0; i < t->count; i++) {
        const char *key = config_key(t->keys[i], &help, &is_switch);
        if (!config_set(&t->config, key, t->flags[i], why)) {
            return false;
        }
    }
    return config_check(&t->config, why);
}

/* The name of an actor of an object: that of its table; of one that is there
 * already, with a number: "load", "load-2". */
static const char *name_of(const struct motet_supervisor *table)
{
    static const struct motet_supervisor *tables[CONFIG_LIST_MAX];
    static char names[CONFIG_LIST_MAX][MOTET_NAME_MAX + 1];
    static size_t count;
    unsigned number = 1;

    CHECK(count < CONFIG_LIST_MAX);
    for (size_t i = 0; i < count; i++) {
        number += tables[i] == table;
    }
    tables[count] = table;
    char *name = names[count++];
    if (number == 1) {
        return table->name;
    }
    snprintf(name, sizeof names[0], "%.50s-%u", table->name, number);
    return name;
}

/* "FILE.so" or "FILE.so:arguments": an actor of the user's. */
static bool add_plugin(struct host *h, const char *text, char *why)
{
    struct plugin p;

    _Static_assert((int)PLUGIN_WHY_MAX <= (int)CONFIG_WHY_MAX, "a reason fits");
    return plugin_open(&p, text, why) &&
           host_actor(h, p.table, name_of(p.table), p.args, why);
}

/* "kind" or "kind:arguments", as in the configuration. */
static bool add_actor(struct host *h, char *text, char *why)
{
    char *colon = strchr(text, ':');

    if (plugin_is(text)) {
        return add_plugin(h, text, why);
    }
    if (colon != NULL) {
        *colon = '\0';
    }
    const struct motet_supervisor *table = actor_builtin(text);
    if (table == NULL) {
        snprintf(why, CONFIG_WHY_MAX,
                 "actor: no built-in actor \"%.64s\"; there are echo, counter, "
                 "bench and ballast, and any FILE.so",
                 text);
        return false;
    }
    return host_actor(h, table, table->name, colon == NULL ? NULL : colon + 1,
                      why);
}

/* SIGTERM and SIGINT stop the site (a second one: at once), SIGHUP loads the
 * certificates again. */
static void on_signal(uv_signal_t *s, int signum)
{
    if (signum == SIGHUP) {
        host_reload(s->data);
    } else {
        host_stop(s->data);
    }
}

static bool watch_signals(struct host *h, uv_signal_t signals[3])
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        signals[i].data = h;
        if (uv_signal_init(host_loop(h), &signals[i]) != 0 ||
            uv_signal_start(&signals[i], on_signal, numbers[i]) != 0) {
            return false;
        }
    }
    return true;
}

static int complain(int code, const char *why)
{
    fprintf(stderr, "motetd: %s\n", why);
    return code;
}

static int run(struct told *t)
{
    char why[CONFIG_WHY_MAX] = "";
    uv_signal_t signals[3];

    t->config.managed = true;
    if (!configure(t, why)) {
        return complain(EXIT_CONFIG, why);
    }
    struct host *h = host_open(&t->config, why);
    if (h == NULL) {
        return complain(EXIT_CONFIG, why);
    }
    bool ok = watch_signals(h, signals);
    for (uint32_t i = 0; ok && i < t->config.actor.count; i++) {
        ok = add_actor(h, t->config.actor.items[i], why);
    }
    enum host_end end = ok ? host_run(h, why) : HOST_REFUSED;
    host_close(h);
    switch (end) {
    case HOST_STOPPED:
    case HOST_RUNNING:
        return EXIT_SUCCESS;
    case HOST_REFUSED:
        return complain(EXIT_CONFIG, why);
    case HOST_FAILED:
        break;
    }
    return complain(EXIT_TEMPFAIL, why);
}

int main(int argc, char **argv)
{
    static struct told t;

    signal(SIGPIPE, SIG_IGN);
    argp_program_version = version_text();
    config_init(&t.config);
    parse(&t, argc, argv);
    int code = run(&t);
    config_fini(&t.config);
    return code;
}
