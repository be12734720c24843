#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* An intrusive doubly linked ring with a head. Iteration is in the order of
 * insertion. A node is in at most one list; a node not in a list is unlinked
 * (both pointers NULL), so that removal twice is harmless. */
struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
    return node->next != NULL;
}

static inline void list_append(struct list *head, struct list *node)
{
    CHECK(!list_linked(node));
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
    CHECK(!list_linked(node));
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}

static inline void list_remove(struct list *node)
{
    if (!list_linked(node)) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = NULL;
    node->prev = NULL;
}

static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* The node after `node`, or NULL at the end of the list of `head`. */
static inline struct list *list_after(const struct list *head,
                                      const struct list *node)
{
    return node->next == head ? NULL : node->next;
}

#define LIST_ENTRY(ptr, type, member) CONTAINER_OF(ptr, type, member)

/* Iterates; the current node may be removed inside the body. */
#define list_foreach(it, head)                                                \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)

#endif
