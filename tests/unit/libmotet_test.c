#include <criterion/criterion.h>
#include <motet/motet.h>
#include <sys/stat.h>

#include "attach_ground.h"
#include "libmotet_ground.h"
#include "sites/host/attach.h"

TestSuite(libmotet, .timeout = 60);

/* ---- refusals -------------------------------------------------------------
 */

Test(libmotet, null_handles_are_refused)
{
    struct motet *m;
    struct motet_port *port = NULL;
    struct motet_msg msg = {0};
    struct motet_event event;
    struct motet_cap cap = {0};
    struct motet_port_info info;
    struct motet_member member;
    struct motet_ui ui = {0};
    size_t count;
    uint64_t id;
    ERR(motet_attach("x", NULL), MOTET_E_INVALID);
    ERR(motet_attach_as("x", "no name", &m), MOTET_E_INVALID);
    ERR(motet_port_create(NULL, "a", &port), MOTET_E_INVALID);
    ERR(motet_port_enable(NULL, 0), MOTET_E_INVALID);
    ERR(motet_port_disable(NULL), MOTET_E_INVALID);
    ERR(motet_port_info(NULL, ui, &info), MOTET_E_INVALID);
    ERR(motet_group(NULL, "a", &cap), MOTET_E_INVALID);
    ERR(motet_group_insert(NULL, &cap), MOTET_E_INVALID);
    ERR(motet_group_remove(NULL, &cap), MOTET_E_INVALID);
    ERR(motet_group_list(NULL, ui, &member, 1, &count), MOTET_E_INVALID);
    ERR(motet_send(NULL, motet_to("a"), text("x"), 0), MOTET_E_INVALID);
    ERR(motet_try_send(NULL, motet_to("a"), text("x"), 0), MOTET_E_INVALID);
    ERR(motet_sendv(NULL, motet_to("a"), (struct motet_bytes){0}, NULL, 0, 0),
        MOTET_E_INVALID);
    ERR(motet_send_start(NULL, motet_to("a"), text("x"), 0, 1),
        MOTET_E_INVALID);
    ERR(motet_receive(NULL, &msg, 0), MOTET_E_INVALID);
    ERR(motet_receive_any(NULL, &msg, 0), MOTET_E_INVALID);
    ERR(motet_reply(NULL, "x", 1), MOTET_E_INVALID);
    ERR(motet_reply(&msg, "x", 1), MOTET_E_INVALID);
    ERR(motet_refuse(&msg, MOTET_E_PERMISSION), MOTET_E_INVALID);
    ERR(motet_forward(NULL, motet_to("a")), MOTET_E_INVALID);
    ERR(motet_save(NULL, &id), MOTET_E_INVALID);
    ERR(motet_restore(NULL, 1, &msg), MOTET_E_INVALID);
    ERR(motet_call(NULL, motet_to("a"), text("x"), &msg, 0), MOTET_E_INVALID);
    ERR(motet_call_from(NULL, motet_to("a"), text("x"), &msg, 0),
        MOTET_E_INVALID);
    ERR(motet_call_start(NULL, motet_to("a"), text("x"), 0, 1, &id),
        MOTET_E_INVALID);
    ERR(motet_cancel(NULL, 1), MOTET_E_INVALID);
    ERR(motet_watch(NULL, ui, &id), MOTET_E_INVALID);
    ERR(motet_unwatch(NULL, 1), MOTET_E_INVALID);
    ERR(motet_event(NULL, &event, 0), MOTET_E_INVALID);
    ERR(motet_dispatch(NULL), MOTET_E_INVALID);
    ERR(motet_prefetch(NULL, 1), MOTET_E_INVALID);
    ERR(motet_actor_find(NULL, "a", &ui), MOTET_E_INVALID);
    cr_expect_eq(motet_fd(NULL), -1);
    cr_expect_null(motet_own_port(NULL));
    cr_expect_str_eq(motet_site_name(NULL), "");
    cr_expect_eq(motet_body_max(NULL), 0);
    cr_expect(!motet_lost(NULL));
    motet_port_set_data(NULL, &m);
    cr_expect_null(motet_port_data(NULL));
    motet_port_delete(NULL);
    motet_msg_free(NULL);
    motet_msg_free(&msg);
    motet_detach(NULL);
}

Test(libmotet, arguments_are_refused)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port;
    char long_name[MOTET_NAME_MAX + 2];
    struct motet_bytes parts[MOTET_PARTS_MAX + 1] = {{0}};
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    ERR(motet_port_create(m, long_name, &port), MOTET_E_INVALID);
    ERR(motet_port_create(m, "", &port), MOTET_E_INVALID);
    ERR(motet_port_create(m, "a b", &port), MOTET_E_INVALID);
    cr_expect_null(port);
    long_name[MOTET_NAME_MAX] = '\0';
    OK(motet_port_create(m, long_name, &port));
    const struct motet_ui ui = motet_port_ui(port);
    ERR(motet_sendv(port, motet_to_ui(ui), parts[0], parts, MOTET_PARTS_MAX + 1,
                    0),
        MOTET_E_INVALID);
    OK(motet_sendv(port, motet_to_ui(ui), parts[0], parts, MOTET_PARTS_MAX, 0));
    char annex[MOTET_ANNEX_MAX + 1] = {0};
    ERR(motet_send(port, motet_to_ui(ui),
                   motet_annexed(annex, sizeof annex, NULL, 0), 0),
        MOTET_E_TOO_BIG);
    OK(motet_send(port, motet_to_ui(ui),
                  motet_annexed(annex, sizeof annex - 1, NULL, 0), 0));
    ERR(motet_send(port, motet_to_ui(ui),
                   motet_body(NULL, motet_body_max(m) + 1), 0),
        MOTET_E_TOO_BIG);
    ERR(motet_send(port, motet_to_ui(ui), motet_body(NULL, (1ULL << 32) + 1),
                   0),
        MOTET_E_TOO_BIG);
    parts[0].size = SIZE_MAX;
    parts[1].size = 2;
    ERR(motet_sendv(port, motet_to_ui(ui), (struct motet_bytes){0}, parts, 2,
                    0),
        MOTET_E_TOO_BIG);
    ERR(motet_prefetch(m, 129), MOTET_E_INVALID);
    ERR(motet_cancel(m, 99), MOTET_E_STATE);
    cr_expect_neq(motet_send(port, motet_to("a b"), text("x"), 0), MOTET_OK,
                  "there is no such name");
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, attaching_is_refused)
{
    struct motet *m = (struct motet *)&m;
    char path[200];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    ERR(motet_attach(path, &m), MOTET_E_TOO_BIG);
    path[107] = '\0';
    ERR(motet_attach(path, &m), MOTET_E_NO_SITE);
    cr_expect_null(m);
    setenv("MOTET_RUNTIME_DIR", "/nonexistent", 1);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    ERR(motet_attach("paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("ground/paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("../paris", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("ground/../x", &m), MOTET_E_INVALID);
    ERR(motet_attach("", &m), MOTET_E_INVALID);
    ERR(motet_attach("pa ris", &m), MOTET_E_INVALID);
    ERR(motet_attach("/", &m), MOTET_E_NO_SITE);
}

/* ---- paths ----------------------------------------------------------------
 */

Test(libmotet, paths)
{
    char path[MOTET_PATH_MAX];
    char dir[200];
    setenv("MOTET_RUNTIME_DIR", "/run/x", 1);
    OK(motet_socket_path("demo", "paris", path, sizeof path));
    cr_expect_str_eq(path, "/run/x/demo/paris.sock");
    ERR(motet_socket_path("demo", "paris", path, 22), MOTET_E_TOO_BIG);
    OK(motet_socket_path("demo", "paris", path, 23));
    ERR(motet_socket_path("demo", "a/b", path, sizeof path), MOTET_E_INVALID);
    ERR(motet_socket_path("..", "a", path, sizeof path), MOTET_E_INVALID);
    ERR(motet_socket_path(NULL, "a", path, sizeof path), MOTET_E_INVALID);
    OK(motet_runtime_dir(NULL, path, sizeof path));
    cr_expect_str_eq(path, "/run/x");

    /* 107 bytes are a socket's path, 108 are not. */
    memset(dir, 'd', sizeof dir);
    dir[0] = '/';
    dir[107 - strlen("/demo/paris.sock")] = '\0';
    char big[300];
    setenv("MOTET_RUNTIME_DIR", dir, 1);
    OK(motet_socket_path("demo", "paris", big, sizeof big));
    cr_expect_eq(strlen(big), 107);
    ERR(motet_socket_path("demo", "paris2", big, sizeof big), MOTET_E_TOO_BIG);
}

Test(libmotet, where)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m;
    setenv("MOTET_RUNTIME_DIR", g.runtime, 1);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    static const char *const good[] = {NULL, "paris", "ground/paris"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        OK(motet_attach(good[i], &m));
        cr_expect_str_eq(motet_site_name(m), "paris");
        motet_detach(m);
    }
    ERR(motet_attach("rome", &m), MOTET_E_NO_SITE);
    ERR(motet_attach("other/paris", &m), MOTET_E_NO_SITE);
    setenv("MOTET_CLUSTER", "other", 1);
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    ERR(motet_attach("paris", &m), MOTET_E_NO_SITE);
    setenv("MOTET_CLUSTER", "ground", 1);
    OK(motet_attach(NULL, &m));
    motet_detach(m);
    setenv("MOTET_SITE", "rome", 1);
    ERR(motet_attach(NULL, &m), MOTET_E_NO_SITE);
    setenv("MOTET_SITE", g.path, 1);
    OK(motet_attach(NULL, &m));
    motet_detach(m);

    /* A second cluster: only what names one is clear. */
    char folder[100];
    char link_path[120];
    (void)snprintf(folder, sizeof folder, "%s/twin", g.runtime);
    (void)snprintf(link_path, sizeof link_path, "%s/paris.sock", folder);
    cr_assert_eq(mkdir(folder, 0700), 0);
    cr_assert_eq(symlink(g.path, link_path), 0);
    unsetenv("MOTET_SITE");
    unsetenv("MOTET_CLUSTER");
    ERR(motet_attach(NULL, &m), MOTET_E_AMBIGUOUS);
    ERR(motet_attach("paris", &m), MOTET_E_AMBIGUOUS);
    OK(motet_attach("twin/paris", &m));
    motet_detach(m);

    /* Not in a folder where anybody can put a socket. */
    cr_assert_eq(chmod(folder, 0777), 0);
    ERR(motet_attach("twin/paris", &m), MOTET_E_PERMISSION);
    unlink(link_path);
    rmdir(folder);
    ground_stop(&g);
}

/* ---- messages -------------------------------------------------------------
 */

Test(libmotet, a_message_arrives_whole)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet *b = ground_attach(&g);
    struct motet_port *from = ground_port(a, NULL);
    struct motet_port *to = ground_port(b, "mail");
    struct motet_msg msg;
    OK(motet_send(from, motet_to("mail"), motet_annexed("ann", 3, "body", 4),
                  1000));
    OK(motet_receive(to, &msg, 1000));
    cr_expect_eq(msg.kind, MOTET_MSG_MESSAGE);
    cr_expect_eq(msg.port, to);
    cr_expect(motet_ui_equal(msg.source, motet_port_ui(from)));
    cr_expect(motet_ui_equal(msg.target, motet_ui_of_name("mail")));
    cr_expect_eq(msg.pi.uid, getuid());
    cr_expect_eq(msg.pi.gid, getgid());
    cr_expect_eq(msg.seq, 1);
    cr_expect_eq(msg.held, 0);
    cr_expect_eq(msg.annex_bytes, 3);
    cr_expect_arr_eq(msg.annex, "ann", 3);
    cr_expect(says(&msg, "body"));
    cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE, "not a call");
    motet_msg_free(&msg);
    cr_expect_null(msg.body);

    const struct motet_bytes parts[3] = {{"one", 3}, {NULL, 2}, {"two", 3}};
    OK(motet_sendv(from, motet_to_ui(motet_port_ui(to)),
                   (struct motet_bytes){0}, parts, 3, 1000));
    OK(motet_receive_any(b, &msg, 1000));
    cr_expect_eq(msg.body_bytes, 8);
    cr_expect_arr_eq(msg.body, "one\0\0two", 8);
    cr_expect(motet_ui_equal(msg.target, (struct motet_ui){0}));
    cr_expect_eq(msg.seq, 2);
    motet_detach(a);
    motet_detach(b);
    ground_stop(&g);
}

Test(libmotet, nothing_to_receive)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    struct motet_msg msg;
    struct motet_event event;
    ERR(motet_receive(port, &msg, 0), MOTET_E_TIMEOUT);
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    ERR(motet_event(m, &event, 0), MOTET_E_TIMEOUT);
    uint64_t start = ground_ms();
    ERR(motet_receive(port, &msg, 60), MOTET_E_TIMEOUT);
    cr_expect_geq(ground_ms() - start, 59);
    start = ground_ms();
    ERR(motet_event(m, &event, 60), MOTET_E_TIMEOUT);
    cr_expect_geq(ground_ms() - start, 59);
    ERR(motet_send(port, motet_to("nobody"), text("x"), 50), MOTET_E_NO_MEMBER);
    ERR(motet_call(m, motet_to("nobody"), text("x"), &msg, 50),
        MOTET_E_NO_MEMBER);
    start = ground_ms();
    const enum motet_err err =
        motet_send(port, motet_to_waiting("nobody"), text("x"), 60);
    cr_expect_eq(motet_err_ran(err), MOTET_RAN_NO, "%s", motet_err_name(err));
    cr_expect_geq(ground_ms() - start, 59);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet, a_disabled_port_waits_and_a_first_one_comes_first)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *low = ground_port(m, NULL);
    struct motet_port *high = ground_port(m, NULL);
    struct motet_port *off = ground_port(m, NULL);
    struct motet_msg msg;
    OK(motet_port_enable(low, 9));
    OK(motet_port_enable(high, 1));
    OK(motet_port_disable(off));
    OK(motet_send(low, motet_to_ui(motet_port_ui(low)), text("low"), 0));
    OK(motet_send(low, motet_to_ui(motet_port_ui(off)), text("off"), 0));
    OK(motet_send(low, motet_to_ui(motet_port_ui(high)), text("high"), 0));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(says(&msg, "high"));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(says(&msg, "low"));
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    OK(motet_receive(off, &msg, 0));
    cr_expect(says(&msg, "off"));

    /* It came before the port was disabled: it waits as well. */
    struct motet_ui nobody;
    OK(motet_prefetch(m, 2));
    OK(motet_send(off, motet_to_ui(motet_port_ui(low)), text("low"), 0));
    ERR(motet_actor_find(m, "nobody", &nobody), MOTET_E_NO_ACTOR);
    OK(motet_port_disable(low));
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    OK(motet_receive(low, &msg, 0));
    cr_expect(says(&msg, "low"));
    motet_detach(m);
    ground_stop(&g);
}
