"""Writes what torch.nn.parallel.DistributedDataParallel computes, for the C++ tests to compare with.

    export_ddp.py OUT.safetensors

Two Gloo processes, float64, the narrow Xception of reference_xception.py, Adam, each batch split in
halves: images (n, 3, 71, 71) uint8, fed as they
are, labels, start/NAME, grad/NAME (of the first step), after/NAME
(weights and rank 0's buffers after STEPS steps), loss (of each step, over the whole batch).
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn import functional as F

from reference_xception import ReferenceXception
from safetensors.torch import save_file

STEPS, BATCH, RANKS = 20, 8, 2


def data():
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (STEPS * BATCH, 3, 71, 71), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (STEPS * BATCH,), generator=generator)
    return images, labels


def train(rank, out, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = ReferenceXception(variant="paper", width=0.125, middle_blocks=1).double().train()
    start = {f"start/{n}": t.detach().clone() for n, t in net.state_dict().items()}
    ddp = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    images, labels = data()
    grads, losses = {}, []
    for step in range(STEPS):
        first = step * BATCH + rank * BATCH // RANKS
        part = slice(first, first + BATCH // RANKS)
        optimizer.zero_grad()
        loss = F.cross_entropy(ddp(images[part].double()), labels[part])
        loss.backward()
        if step == 0:
            grads = {f"grad/{n}": p.grad.clone() for n, p in net.named_parameters()}
        optimizer.step()
        total = loss.detach().clone()
        dist.all_reduce(total)
        losses.append(total / RANKS)
    if rank == 0:
        after = {f"after/{n}": t.detach().clone() for n, t in net.state_dict().items()}
        save_file({**start, **grads, **after, "images": images, "labels": labels, "loss": torch.stack(losses)}, out)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        mp.spawn(train, args=(sys.argv[1], os.path.join(folder, "store")), nprocs=RANKS)
