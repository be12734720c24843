#include <criterion/criterion.h>
#include <signal.h>

#include "nucleus/base/list.h"

struct item {
    int id;
    struct list node;
};

TestSuite(list, .timeout = 5);

static int digits(struct list *head)
{
    int n = 0;
    list_foreach (at, head) {
        n = n * 10 + LIST_ENTRY(at, struct item, node)->id;
    }
    return n;
}

Test(list, a_node_is_in_one_list_only, .signal = SIGABRT)
{
    struct list a;
    struct list b;
    struct item i = {.id = 1};
    list_init(&a);
    list_init(&b);
    list_append(&a, &i.node);
    list_append(&b, &i.node);
}

Test(list, empty_has_no_first)
{
    struct list head;
    struct item i = {.id = 1};
    list_init(&head);
    cr_assert(list_empty(&head));
    cr_assert_null(list_first(&head));
    list_remove(&i.node);
    cr_assert_not(list_linked(&i.node), "removal of a free node is harmless");
}

Test(list, order_of_insertion)
{
    struct list head;
    struct item items[4] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_append(&head, &items[i].node);
    }
    list_prepend(&head, &items[3].node);
    cr_assert_eq(digits(&head), 4123);
    cr_assert_eq(list_first(&head), &items[3].node);
    cr_assert_eq(list_after(&head, &items[3].node), &items[0].node);
    cr_assert_null(list_after(&head, &items[2].node));

    list_remove(&items[0].node);
    list_remove(&items[0].node);
    cr_assert_eq(digits(&head), 423);
    list_append(&head, &items[0].node);
    cr_assert_eq(digits(&head), 4231);
}

Test(list, the_current_node_may_go)
{
    struct list head;
    struct item items[4] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};
    list_init(&head);
    for (int i = 0; i < 4; i++) {
        list_append(&head, &items[i].node);
    }
    list_foreach (at, &head) {
        if (LIST_ENTRY(at, struct item, node)->id % 2 == 0) {
            list_remove(at);
        }
    }
    cr_assert_eq(digits(&head), 13);
    list_foreach (at, &head) {
        list_remove(at);
    }
    cr_assert(list_empty(&head));
}
