#include <motet/motet.h>
#include <motet/site.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two sites in this process, each with a thread of its own: refusals first,
 * then a supervisor actor of the program's on the one is called through the
 * other. A plain program, so that ThreadSanitizer can run it; it links nothing
 * but libmotet_embed. */

static int failures;

static void check(bool ok, const char *what)
{
    if (!ok) {
        failures++;
        printf("FAIL %s\n", what);
    }
}

/* ---- an actor of the program's ---------------------------------------------
 */

static enum motet_err twice_start(struct motet_self *self, void *state,
                                  const char *args)
{
    struct motet_cap port;
    struct motet_cap group;
    (void)state;

    enum motet_err err = motet_actor_port_new(self, &port);
    if (err == MOTET_OK) {
        err = motet_actor_group(self, args, &group);
    }
    return err != MOTET_OK ? err : motet_actor_join(self, &group, port.ui);
}

static void twice_message(struct motet_self *self, void *state,
                          const struct motet_view *view)
{
    char text[64];
    (void)state;

    int size = snprintf(text, sizeof text, "%.*s%.*s", (int)view->body_bytes,
                        (const char *)view->body, (int)view->body_bytes,
                        (const char *)view->body);
    struct motet_out out = {.body = {text, (size_t)size}};
    enum motet_err err = motet_actor_reply(self, view->held, &out);
    check(err == MOTET_OK, "the actor replies");
}

static const struct motet_supervisor twice = {
    .name = "twice",
    .on_start = twice_start,
    .on_message = twice_message,
};

static const struct motet_site_actor actors[] = {
    {.table = &twice, .name = "twice", .args = "twice"},
};

/* ---- the story -------------------------------------------------------------
 */

static struct motet_site_options options(const char *dir, const char *name,
                                         char *state, char *socket, size_t size)
{
    snprintf(state, size, "%s/%s.state", dir, name);
    snprintf(socket, size, "%s/%s.sock", dir, name);
    return (struct motet_site_options){
        .name = name,
        .cluster = "embedded",
        .state_dir = state,
        .socket = socket,
        .insecure = true,
    };
}

static void refusals(const char *dir)
{
    char why[MOTET_SITE_WHY_MAX] = "";
    char state[128];
    char socket[128];
    struct motet_site_options o =
        options(dir, "nobody", state, socket, sizeof state);

    check(motet_site_open(NULL, why, sizeof why) == NULL, "no options");
    o.name = "no name at all";
    check(motet_site_open(&o, why, sizeof why) == NULL, "a bad name");
    check(strstr(why, "name") != NULL, "it says so");
    o.name = "nobody";
    o.insecure = false;
    check(motet_site_open(&o, why, sizeof why) == NULL, "no certificate");
    check(strstr(why, "certificate") != NULL, "it says so");
    o.insecure = true;
    o.listen = "256.0.0.1:x";
    check(motet_site_open(&o, why, sizeof why) == NULL, "a bad address");
    motet_site_close(NULL);
    check(!motet_site_running(NULL, why, sizeof why), "no site runs");
}

static void call_through(const char *socket)
{
    struct motet *m;
    struct motet_msg reply;
    struct motet_dest to = motet_to_waiting("twice");
    enum motet_err err = motet_attach(socket, &m);

    check(err == MOTET_OK, "attach");
    err = motet_call(m, to, motet_body("ab", 2), &reply, 10000);
    check(err == MOTET_OK, motet_err_text(err));
    check(err == MOTET_OK && reply.body_bytes == 4 &&
              memcmp(reply.body, "abab", 4) == 0,
          "the reply of the actor on the other site");
    motet_detach(m);
}

static void two_sites(const char *dir)
{
    char why[MOTET_SITE_WHY_MAX] = "";
    char state[2][128];
    char socket[2][128];
    struct motet_site_options one =
        options(dir, "one", state[0], socket[0], sizeof state[0]);
    struct motet_site_options two =
        options(dir, "two", state[1], socket[1], sizeof state[1]);

    one.actors = actors;
    one.actor_count = 1;
    struct motet_site *a = motet_site_open(&one, why, sizeof why);
    check(a != NULL, why);
    two.join[0] = motet_site_address(a);
    struct motet_site *b = motet_site_open(&two, why, sizeof why);
    check(b != NULL, why);
    check(motet_site_open(&two, why, sizeof why) == NULL, "a second copy");
    check(strstr(why, "in use") != NULL, "it says so");
    call_through(motet_site_socket(b));
    check(motet_site_running(a, why, sizeof why), why);
    motet_site_close(b);
    motet_site_close(a);
}

int main(void)
{
    char dir[] = "/tmp/motet-embed-XXXXXX";
    char command[64];

    if (mkdtemp(dir) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    refusals(dir);
    two_sites(dir);
    snprintf(command, sizeof command, "rm -r %s", dir);
    check(system(command) == 0, "cleaned up");
    printf("%s\n", failures == 0 ? "ok" : "failed");
    return failures == 0 ? 0 : 1;
}
