/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Right and wrong bodies in C++, as in bodies.c. */
#include <nart/nart.h>

#include <memory>
#include <string>
#include <vector>

int use(int value);
void fill(int &value);
int look(const int &value);
void step(const char *&at);

namespace app
{

class connection
{
  public:
    nart_co co;
    nart_timer timer;
    int total;
    std::unique_ptr<int> kept;

    nart_res right(nart_cx *cx);
    nart_res wrong(nart_cx *cx);
};

nart_res connection::right(nart_cx *cx)
{
    nart_res r = 0;
    int n = 0;
    std::string text;
    auto &sum = total;
    const char *at = "a";

    NART_BEGIN(cx, &co);
    NART_AWAIT(r, nart_sleep(cx, &timer, 5));
    fill(n);
    sum += n + (text.empty() ? 1 : 2);
    NART_YIELD();
    fill(n);
    sum = look(n);
    NART_YIELD();
    text = "set again";
    for (auto x : std::vector<int>{ 1, 2, 3 })
        sum += x + static_cast<int>(text.size());
    if (int q = use(sum); q > 3)
        sum = q;
    try {
        n = use(1);
        if (n > 3)
            throw n;
    } catch (int) {
        NART_RETURN(-EINVAL);
    } catch (...) {
        n = 3;
    }
    sum += n;
    kept = std::make_unique<int>(sum);
    at = "set again";
    NART_YIELD();
    step(at);
    sum = *at;
    NART_END(0);
}

nart_res connection::wrong(nart_cx *cx)
{
    nart_res r = 0;
    int n = 0;
    bool ok = false;
    std::string text;
    auto add = [this](int more) { return total + more; };

    NART_BEGIN(cx, &co);
    fill(n);
    text = "set";
    NART_AWAIT(r, nart_sleep(cx, &timer, 5)); /* lost: n text */
    total += look(n) + static_cast<int>(text.size());
    try {
        ok = add(n) > 3;
        throw 1;
    } catch (...) {
        n = 1;
    }
    NART_YIELD(); /* lost: ok r n */
    try {
        n = use(2);
    } catch (...) {
        total = n;
    }
    for (int k = 0; ok && k < 3; k++) {
        if (k == 2)
            return r; /* return */
    }
    NART_END(r);
}

nart_res lambda_run(nart_cx *cx, void *frame)
{
    auto body = [](nart_cx *cx, connection &c) -> nart_res {
        nart_res r;
        int k;

        NART_BEGIN(cx, &c.co);
        k = use(c.total);
        NART_AWAIT(r, nart_sleep(cx, &c.timer, 5)); /* lost: k */
        c.total = k;
        NART_END(r);
    };
    return body(cx, *static_cast<connection *>(frame));
}

template <class Frame> nart_res template_run(nart_cx *cx, Frame *f)
{
    int k;

    NART_BEGIN(cx, &f->co);
    k = use(f->total);
    NART_YIELD(); /* lost: k */
    f->total = k;
    NART_END(0);
}

nart_res instance_run(nart_cx *cx, void *frame)
{
    return template_run(cx, static_cast<connection *>(frame));
}

} // namespace app
