/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Functions of a user's Rust code, by the header that was generated for them. */
#include <acme/greetings.h>
#include <nart/nart.h>
#include <string.h>

struct greets {
    nart_co co;
    nart_tokio *tokio;
    nart_tokio_op op;
    int64_t value;
};

static nart_res greets_run(nart_cx *cx, void *frame)
{
    struct greets *g = frame;
    struct greeting answer;
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    r = greet(g->tokio, "you", &g->op);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &g->op, &g->value));
    if (r == 0 && (g->value != 9 || strcmp(nart_tokio_op_message(&g->op, NULL), "hello you") != 0))
        r = -EBADMSG;
    nart_tokio_op_close(&g->op);
    if (r == 0)
        r = greeting(g->tokio, (const uint8_t *)"you", 3, &g->op);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &g->op, NULL));
    if (r == 0)
        r = greeting_read(&g->op, &answer);
    if (r == 0 && (answer.length != 9 || memcmp(answer.initial, "he", 2) != 0))
        r = -EBADMSG;
    if (r == 0 && (answer.words[1].begin != 6 || answer.words[1].length != 3 ||
                   answer.words[1].default_ != 2))
        r = -EBADMSG;
    nart_tokio_op_close(&g->op);
    if (r == 0)
        r = greet_names(g->tokio, 1, "ab", NULL, 0, "cde", &g->op);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &g->op, &g->value));
    if (r == 0 && g->value != 6)
        r = -EBADMSG;
    nart_tokio_op_close(&g->op);
    if (r == 0)
        r = greet(g->tokio, "", &g->op);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &g->op, NULL));
    if (r == -ENOENT && strcmp(nart_tokio_op_message(&g->op, NULL), "nobody is there") == 0)
        r = 0;
    nart_tokio_op_close(&g->op);
    NART_END(r);
}
NART_TASK_TYPED(greets, struct greets, greets_run, NULL);

int main(void)
{
    nart_rt *rt = NULL;
    nart_tokio *tokio = NULL;
    nart_res answer = 0;

    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_tokio_new(NULL, &tokio);
    if (r == 0)
        r = greets_block_on(rt, &(struct greets){ .tokio = tokio }, &answer);
    nart_tokio_free(tokio);
    nart_rt_free(rt);
    return r == 0 && answer == 0 && nart_version() == NART_VERSION_NUMBER ? 0 : 1;
}
