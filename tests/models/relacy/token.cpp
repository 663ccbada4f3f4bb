/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relacy/engine.hpp"

#undef malloc
#undef free /* the allocator's table has a member of this name */

#include "core/hub.c"
#include "core/post.c"
#include "lifecycle/token.c"
#include "scenarios/token.c"

int main(int argc, char **argv)
{
    return model_main(argc, argv);
}
