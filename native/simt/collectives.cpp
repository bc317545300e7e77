// Where threads meet: barriers of the block, collectives of a warp.
#include "threads.h"

namespace simt {

void barrier(Site site) {
  if (left_out(site)) return;
  if (team.waiting && !(site == team.barrier_site))
    refuse(Fault::Barrier, "a thread waits at ", site, ", others at ", team.barrier_site);
  if (team.done) refuse(Fault::Barrier, "a thread waits at ", site, ", but another has ended");
  team.barrier_site = site;
  team.waiting++;
  if (team.waiting < team.count) return wait_at(site, State::Barrier);
  team.waiting = 0;
  block.epoch++;
  for (int i = 0; i < team.count; i++)
    if (team.threads[i].state == State::Barrier) {
      team.threads[i].state = State::Ready;
      set_ready(i, true);
    }
  if (shuffled()) give_way();
}

Slots exchange(Collective kind, const void* mine, size_t bytes, Site site) {
  int lane = block.thread & 31;
  Warp& warp = team.warps[block.thread / 32];
  if (warp.arrived && (warp.kind != kind || !(warp.site == site)))
    refuse(Fault::Collective, "a lane is at ", site, ", others at ", warp.site);
  for (int i = block.thread - lane; team.done && i < block.thread - lane + 32; i++)
    if (team.threads[i].state == State::Done)
      refuse(Fault::Collective, "a lane waits at ", site, ", but another has ended");
  warp.kind = kind;
  warp.site = site;
  auto* slots = warp.slots[warp.side];
  copy_raw(slots[lane], mine, bytes);
  warp.arrived |= 1u << lane;
  if (warp.arrived != all_lanes) {
    wait_at(site, State::Collective);
    return slots;
  }
  warp.arrived = 0;
  warp.side ^= 1;
  for (int i = block.thread - lane; i < block.thread - lane + 32; i++)
    team.threads[i].state = State::Ready;
  warp.ready = all_lanes;
  if (kind == Collective::Sync) block.warp_epochs[block.thread / 32]++;
  if (shuffled()) give_way();
  return slots;
}

void sync_warp(Site site) {
  if (left_out(site)) return;
  char nothing = 0;
  exchange(Collective::Sync, &nothing, 1, site);
}

void check_mask(unsigned mask, Site site) {
  if (mask != all_lanes) refuse(Fault::Collective, site, ": a collective must name all 32 lanes");
}

}  // namespace simt
