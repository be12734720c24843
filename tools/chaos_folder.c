#include <stdlib.h>
#include <string.h>

#include "chaos.h"
#include "say.h"

/* run.json of the folder of a run: what the judge must know of it. */

static uint64_t number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    const char *text = json_string_value(v);
    return text != NULL ? strtoull(text, NULL, 10)
                        : (uint64_t)json_integer_value(v);
}

static void text_of(const json_t *o, const char *key, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(o, key));
    (void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static void read_accusations(struct chaos_verdict *v, const json_t *list)
{
    size_t i;
    const json_t *a;
    json_array_foreach(list, i, a)
    {
        if (v->kept_count == CHECK_VIOLATIONS_MAX) {
            v->violations++;
            continue;
        }
        struct chaos_accusation *k = &v->kept[v->kept_count++];
        k->promise = (int)number_of(a, "promise");
        k->at_ns = number_of(a, "at_ns");
        k->site = number_of(a, "site");
        text_of(a, "text", k->text, sizeof k->text);
        v->violations++;
    }
}

bool chaos_read_run(struct chaos_verdict *v, const char *folder)
{
    char path[PATH_BYTES];
    json_error_t err;
    size_t i;
    const json_t *site;
    if (!path_join(path, folder, "run.json", NULL)) {
        return false;
    }
    json_t *o = json_load_file(path, 0, &err);
    if (o == NULL || !json_is_array(json_object_get(o, "sites"))) {
        say_error("%.300s: %s", path, o == NULL ? err.text : "no run");
        say_hint("name a folder that motet chaos run has made");
        json_decref(o);
        return false;
    }
    text_of(o, "scenario", v->scenario, sizeof v->scenario);
    text_of(o, "about", v->about, sizeof v->about);
    text_of(o, "ground", v->ground, sizeof v->ground);
    text_of(o, "build", v->build, sizeof v->build);
    v->seed = number_of(o, "seed");
    v->calls_min = number_of(o, "calls_min");
    v->states = (uint32_t)number_of(o, "states");
    v->own_load = json_is_true(json_object_get(o, "own_load"));
    v->start_ns = number_of(o, "start_ns");
    v->healed_ns = number_of(o, "healed_ns");
    v->end_ns = number_of(o, "end_ns");
    v->agreed_ns = number_of(o, "agreed_ns");
    json_array_foreach(json_object_get(o, "sites"), i, site)
    {
        if (v->site_count < CHAOS_SITES_MAX && json_is_string(site)) {
            (void)snprintf(v->sites[v->site_count++], sizeof v->sites[0],
                           "%.63s", json_string_value(site));
        }
    }
    read_accusations(v, json_object_get(o, "accused"));
    json_decref(o);
    return true;
}
