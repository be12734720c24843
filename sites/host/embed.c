#include <motet/motet.h>
#include <motet/site.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* A site in a thread of somebody else's process: the host of motetd, without
 * its signals, its log and its service manager. */

struct motet_site {
    struct config config;
    struct host *host;
    uv_thread_t thread;
    uv_mutex_t lock; /* of the next two */
    enum host_end end;
    char why[MOTET_SITE_WHY_MAX];
    char *names[MOTET_SITE_ACTORS_MAX];
    char *args[MOTET_SITE_ACTORS_MAX];
};

_Static_assert((int)MOTET_SITE_WHY_MAX >= (int)CONFIG_WHY_MAX,
               "an explanation fits");
_Static_assert((int)MOTET_SITE_JOIN_MAX <= (int)CONFIG_LIST_MAX,
               "all members fit");

static void say(char *why, size_t size, const char *text)
{
    if (why != NULL && size > 0) {
        snprintf(why, size, "%s", text);
    }
}

/* ---- configuration ---------------------------------------------------------
 */

static bool set(struct config *c, const char *key, const char *value, char *why)
{
    return value == NULL || config_set(c, key, value, why);
}

static bool set_socket(struct config *c, const struct motet_site_options *o,
                       char *why)
{
    char path[MOTET_PATH_MAX];

    if (o->no_socket || o->socket != NULL) {
        return set(c, "socket", o->no_socket ? NULL : o->socket, why);
    }
    enum motet_err err =
        motet_socket_path(o->cluster, o->name, path, sizeof path);
    if (err != MOTET_OK) {
        snprintf(why, CONFIG_WHY_MAX, "no path for the socket: %s",
                 motet_err_text(err));
        return false;
    }
    return set(c, "socket", path, why);
}

static bool set_numbers(struct config *c, const struct motet_site_options *o,
                        char *why)
{
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)o->memory_bytes);
    return set(c, "memory", o->memory_bytes == 0 ? NULL : text, why) &&
           set(c, "insecure", o->insecure ? "yes" : "no", why) &&
           set(c, "log", "none", why);
}

static bool fill_config(struct config *c, const struct motet_site_options *o,
                        char *why)
{
    const struct {
        const char *key;
        const char *value;
    } texts[] = {
        {"name", o->name},
        {"cluster", o->cluster},
        {"advertise", o->advertise},
        {"state-dir", o->state_dir},
        {"ca", o->ca},
        {"cert", o->cert},
        {"key", o->key},
        {"listen", o->listen == NULL ? "127.0.0.1:0" : o->listen},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!set(c, texts[i].key, texts[i].value, why)) {
            return false;
        }
    }
    for (size_t i = 0; i < MOTET_SITE_JOIN_MAX && o->join[i] != NULL; i++) {
        if (!set(c, "join", o->join[i], why)) {
            return false;
        }
    }
    return set_numbers(c, o, why) && set_socket(c, o, why) &&
           config_check(c, why);
}

/* ---- life ------------------------------------------------------------------
 */

static void run(void *arg)
{
    struct motet_site *s = arg;
    char why[MOTET_SITE_WHY_MAX] = "";
    enum host_end end = host_run(s->host, why);

    uv_mutex_lock(&s->lock);
    s->end = end;
    say(s->why, sizeof s->why, why);
    uv_mutex_unlock(&s->lock);
}

static void site_free(struct motet_site *s)
{
    if (s->host != NULL) {
        host_close(s->host);
    }
    config_fini(&s->config);
    for (size_t i = 0; i < MOTET_SITE_ACTORS_MAX; i++) {
        free(s->names[i]);
        free(s->args[i]);
    }
    uv_mutex_destroy(&s->lock);
    free(s);
}

static bool add_actors(struct motet_site *s, const struct motet_site_options *o,
                       char *why)
{
    if (o->actor_count > MOTET_SITE_ACTORS_MAX) {
        snprintf(why, CONFIG_WHY_MAX, "more than %d actors",
                 MOTET_SITE_ACTORS_MAX);
        return false;
    }
    for (size_t i = 0; i < o->actor_count; i++) {
        const struct motet_site_actor *a = &o->actors[i];
        s->names[i] = strdup(a->name == NULL ? "" : a->name);
        s->args[i] = a->args == NULL ? NULL : strdup(a->args);
        if (s->names[i] == NULL ||
            !host_actor(s->host, a->table, s->names[i], s->args[i], why)) {
            return false;
        }
    }
    return true;
}

static bool start(struct motet_site *s, const struct motet_site_options *o,
                  char *why)
{
    if (!fill_config(&s->config, o, why)) {
        return false;
    }
    s->host = host_open(&s->config, why);
    if (s->host == NULL || !add_actors(s, o, why)) {
        return false;
    }
    if (uv_thread_create(&s->thread, run, s) != 0) {
        snprintf(why, CONFIG_WHY_MAX, "cannot start a thread");
        return false;
    }
    return true;
}

struct motet_site *motet_site_open(const struct motet_site_options *options,
                                   char *why, size_t size)
{
    char reason[CONFIG_WHY_MAX] = "";
    struct motet_site *s = calloc(1, sizeof *s);

    if (options == NULL || options->name == NULL || options->cluster == NULL ||
        s == NULL) {
        say(why, size, "a site needs a name and a cluster");
        free(s);
        return NULL;
    }
    CHECK(uv_mutex_init(&s->lock) == 0);
    config_init(&s->config);
    if (!start(s, options, reason)) {
        say(why, size, reason);
        site_free(s);
        return NULL;
    }
    return s;
}

void motet_site_close(struct motet_site *site)
{
    if (site == NULL) {
        return;
    }
    host_stop(site->host);
    uv_thread_join(&site->thread);
    site_free(site);
}

const char *motet_site_socket(const struct motet_site *site)
{
    return site == NULL ? NULL : site->config.socket;
}

const char *motet_site_address(const struct motet_site *site)
{
    return site == NULL ? NULL : host_address(site->host);
}

bool motet_site_running(struct motet_site *site, char *why, size_t size)
{
    if (site == NULL) {
        say(why, size, "there is no site");
        return false;
    }
    uv_mutex_lock(&site->lock);
    bool running = site->end == HOST_RUNNING;
    if (!running) {
        say(why, size, site->why);
    }
    uv_mutex_unlock(&site->lock);
    return running;
}
