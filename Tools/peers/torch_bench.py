"""PyTorch on the CPU: one full GAN training step. Modes: eager, compile (torch.compile of G and D),
tutorial (vanilla-gan only: the tutorial's own loop: no detach, D gradients in the G step, default Adam)."""
import os, sys
from bench_common import *

def extra(p):
    p.add_argument("--ftz", action="store_true", help="flush denormals to zero")
    p.add_argument("--layout", choices=["nchw", "nhwc"], default="nchw", help="nhwc = channels_last")

a = args(["eager", "compile", "tutorial"], extra)
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(a.threads)
import torch
import torch.nn as nn
import torch.nn.functional as F
torch.set_num_threads(a.threads)
torch.manual_seed(0)
M, B, Z = a.model, BATCH[a.model], LATENT[a.model]
# Both gradients at the same parameters, from one D(fake).
JOINT = M in ("dcgan-mnist", "vanilla-gan-tf")
NHWC = torch.channels_last if a.layout == "nhwc" else torch.contiguous_format


class View(nn.Module):
    def __init__(self, *s):
        super().__init__()
        self.s = s

    def forward(self, x):
        x = x.view(x.shape[0], *self.s)
        return x.contiguous(memory_format=NHWC) if len(self.s) == 3 else x


L = lambda s: nn.LeakyReLU(s, inplace=True)
if M == "fashion-gan":
    same = lambda i, o, k: nn.Conv2d(i, o, k, padding="same")
    up = lambda: nn.Upsample(scale_factor=2, mode="nearest")
    G = nn.Sequential(nn.Linear(128, 6272), L(.2), View(128, 7, 7), up(), same(128, 128, 5), L(.2), up(),
                      same(128, 128, 5), L(.2), same(128, 128, 4), L(.2), same(128, 128, 4), L(.2),
                      same(128, 1, 4), nn.Sigmoid())
    block = lambda i, o: [nn.Conv2d(i, o, 5), L(.2), nn.Dropout(.4)]
    D = nn.Sequential(*block(1, 32), *block(32, 64), *block(64, 128), *block(128, 256), nn.Flatten(),
                      nn.Dropout(.4), nn.Linear(36864, 1), nn.Sigmoid())
    lr_g, lr_d, betas, eps = 1e-4, 1e-5, (.9, .999), 1e-7
elif M == "dcgan-mnist":
    G = nn.Sequential(nn.Linear(100, 12544, bias=False), nn.BatchNorm1d(12544, 1e-3, .01), L(.3), View(256, 7, 7),
                      nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False), nn.BatchNorm2d(128, 1e-3, .01), L(.3),
                      nn.ConvTranspose2d(128, 64, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(64, 1e-3, .01), L(.3),
                      nn.ConvTranspose2d(64, 1, 5, 2, 2, 1, bias=False), nn.Tanh())
    D = nn.Sequential(nn.Conv2d(1, 64, 5, 2, 2), L(.3), nn.Dropout(.3), nn.Conv2d(64, 128, 5, 2, 2), L(.3),
                      nn.Dropout(.3), nn.Flatten(), nn.Linear(6272, 1))
    lr_g, lr_d, betas, eps = 1e-4, 1e-4, (.9, .999), 1e-7
elif M == "dcgan-fashion":
    R = lambda: nn.ReLU(inplace=True)
    G = nn.Sequential(nn.Linear(100, 512), R(), nn.BatchNorm1d(512, 1e-3, .01), nn.Linear(512, 3136), R(),
                      nn.BatchNorm1d(3136, 1e-3, .01), View(64, 7, 7), nn.ConvTranspose2d(64, 32, 5, 2, 2, 1), R(),
                      nn.BatchNorm2d(32, 1e-3, .01), nn.ConvTranspose2d(32, 1, 5, 2, 2, 1), nn.Tanh())
    D = nn.Sequential(nn.Conv2d(1, 32, 5, 2, 2), L(.2), nn.Conv2d(32, 64, 5, 2, 2), L(.2), nn.Flatten(),
                      nn.Linear(3136, 1), nn.Sigmoid())
    lr_g, lr_d, betas, eps = 1e-3, 1e-3, (.9, .999), 1e-7
elif M == "dense-gan":
    d = lambda i, o: [nn.Linear(i, o), L(.2), nn.Dropout(.3)]
    G = nn.Sequential(*d(100, 256), *d(256, 512), *d(512, 1024), nn.Linear(1024, 784), nn.Tanh(), View(28, 28))
    D = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), L(.2), nn.Linear(512, 256), L(.2), nn.Linear(256, 1), nn.Sigmoid())
    lr_g, lr_d, betas, eps = 1e-4, 2e-4, (.5, .999), 1e-7
else:
    bn = lambda i, o: [nn.Linear(i, o), nn.BatchNorm1d(o, .8), L(.2)]
    G = nn.Sequential(nn.Linear(100, 128), L(.2), *bn(128, 256), *bn(256, 512), *bn(512, 1024), nn.Linear(1024, 784),
                      nn.Tanh(), View(1, 28, 28))
    D = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), L(.2), nn.Linear(512, 256), L(.2), nn.Linear(256, 1), nn.Sigmoid())
    lr_g, lr_d, betas, eps = 2e-4, 2e-4, (.5, .999), 1e-8

if a.layout == "nhwc":
    G, D = G.to(memory_format=NHWC), D.to(memory_format=NHWC)
GM, DM = G, D
fused = a.mode != "tutorial"
optG = torch.optim.Adam(G.parameters(), lr_g, betas, eps, fused=fused)
optD = torch.optim.Adam(D.parameters(), lr_d, betas, eps, fused=fused)
pG, pD = list(G.parameters()), list(D.parameters())
if a.ftz:
    torch.set_flush_denormal(True)
if a.mode == "compile":
    import torch._functorch.config
    torch._functorch.config.donated_buffer = not JOINT      # two backward passes share one graph
    G, D = torch.compile(G), torch.compile(D)
lo, hi = RANGE[M]
shape = (B, 28, 28) if M == "dense-gan" else (B, 1, 28, 28)
POOL = [(torch.rand(shape) * (hi - lo) + lo).contiguous(memory_format=NHWC if len(shape) == 4 else torch.contiguous_format)
        for _ in range(4)]
bce = nn.BCELoss()
ones, zeros = torch.ones(B, 1), torch.zeros(B, 1)
count = 0


def frozen(on):
    for p in pD:
        p.requires_grad_(not on)


def g_step(z, label, d_train=True):
    """The G update through the frozen D (no D weight gradients are computed)."""
    frozen(True)
    optG.zero_grad(set_to_none=True)
    DM.train(d_train)
    loss = bce(D(G(z)), label)
    loss.backward()
    optG.step()
    frozen(False)
    DM.train()
    return loss.detach()


def step_fashion_gan(x):
    with torch.no_grad():
        fake = G(torch.randn(B, Z))
    optD.zero_grad(set_to_none=True)
    yh = D(torch.cat([x, fake]))
    y = torch.cat([zeros + .15 * torch.rand(B, 1), ones - .15 * torch.rand(B, 1)])
    ld = bce(yh, y)
    ld.backward()
    optD.step()
    return ld.detach(), g_step(torch.randn(B, Z), zeros, d_train=False)


def step_joint(x):
    fake = G(torch.randn(B, Z))
    bl = F.binary_cross_entropy_with_logits if M == "dcgan-mnist" else bce
    yr, yf = D(x), D(fake)
    lg = bl(yf, ones)
    ld = bl(yr, ones) + bl(yf, zeros)
    for p, g in zip(pG, torch.autograd.grad(lg, pG, retain_graph=True)):
        p.grad = g
    for p, g in zip(pD, torch.autograd.grad(ld, pD)):
        p.grad = g
    optG.step()
    optD.step()
    return ld.detach(), lg.detach()


ones2 = torch.ones(2 * B, 1)
y_rf = torch.cat([ones, zeros])


def step_dcgan_fashion(x):
    GM.eval()
    with torch.no_grad():
        fake = G(torch.rand(B, Z) * 2 - 1)
    GM.train()
    optD.zero_grad(set_to_none=True)
    ld = bce(D(torch.cat([x, fake])), y_rf)
    ld.backward()
    optD.step()
    return ld.detach(), g_step(torch.rand(2 * B, Z) * 2 - 1, ones2)


def step_dense_gan(x):
    GM.eval()
    with torch.no_grad():
        fake = G(torch.randn(B, Z))
    GM.train()
    ls = []
    for im, y in ((x, ones), (fake, zeros)):
        optD.zero_grad(set_to_none=True)
        l = bce(D(im), y)
        l.backward()
        optD.step()
        ls.append(l.detach())
    return .5 * (ls[0] + ls[1]), g_step(torch.randn(B, Z), ones)


def step_vanilla_gan(x):
    z = torch.randn(B, Z)
    with torch.no_grad():
        fake = G(z)
    optD.zero_grad(set_to_none=True)
    ld = bce(D(x), ones) + bce(D(fake), zeros)
    ld.backward()
    optD.step()
    return ld.detach(), g_step(z, ones)


def step_vanilla_gan_tutorial(x):
    optD.zero_grad()
    y1, y0 = torch.ones(B, 1), torch.zeros(B, 1)
    lr_ = bce(D(x), y1)
    z = torch.randn(B, Z)
    fake = G(z)
    ld = lr_ + bce(D(fake), y0)
    ld.backward()
    optD.step()
    optG.zero_grad()
    lg = bce(D(G(z)), y1)
    lg.backward()
    optG.step()
    return ld.detach(), lg.detach()


step_fn = step_joint if JOINT else globals()["step_" + M.replace("-", "_")]
if a.mode == "tutorial":
    assert M == "vanilla-gan"
    step_fn = step_vanilla_gan_tutorial


def step():
    global count
    count += 1
    ld, lg = step_fn(POOL[count % 4])
    return ld.item(), lg.item()


zs = torch.rand(SAMPLE_BATCH, Z) * 2 - 1 if M == "dcgan-fashion" else torch.randn(SAMPLE_BATCH, Z)


def sample():
    if GM.training:
        GM.eval()
    with torch.inference_mode():
        return G(zs)


measure(a, step, sample, dict(framework="torch " + torch.__version__, mode=a.mode + ("" if a.mode == "tutorial" else "/" + a.layout)))
