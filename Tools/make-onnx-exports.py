"""Makes the ONNX models of Tests/InterchangeTests/Fixtures as PyTorch's two exporters write them, with an
input and what onnxruntime computes of it:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch onnx onnxscript onnxruntime numpy
    /tmp/venv/bin/python Tools/make-onnx-exports.py

A DCGAN's generator and discriminator, and an up-sampling generator with other normalisations.
"""
import os

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Tests/InterchangeTests/Fixtures")

GENERATOR = nn.Sequential(
    nn.ConvTranspose2d(16, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
    nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
    nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False), nn.Tanh())
DISCRIMINATOR = nn.Sequential(
    nn.Conv2d(1, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
    nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
    nn.Flatten(), nn.Linear(16 * 16, 1), nn.Sigmoid())


class Upsampling(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(8, 8 * 16)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.group = nn.GroupNorm(2, 8)
        self.last = nn.Conv2d(8, 3, 3, padding=1, padding_mode="reflect")
        self.layer = nn.LayerNorm(8)

    def forward(self, z):
        x = self.dense(self.layer(z))
        x = x.view(x.size(0), 8, 4, 4)
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = functional.silu(self.instance(self.first(x)))
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = functional.gelu(self.group(x))
        x = functional.pixel_shuffle(torch.cat([x, x * x], 1)[:, :12], 2)
        x = torch.cat([x, x, x.mean(1, keepdim=True).expand(-1, 2, -1, -1)], 1)
        return torch.tanh(self.last(x))


def without_origins(path):
    """Takes out where the exporter ran: its stack traces name folders of the machine."""
    model = onnx.load(path)
    graph = model.graph
    described = [*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in [model, graph, *described]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.save(model, path)


def export(name, module, x, dynamo):
    path = os.path.join(FOLDER, name)
    if dynamo:
        torch.onnx.export(
            module, (x,), path + ".onnx", input_names=["x"], output_names=["y"], dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},), external_data=False)
    else:
        torch.onnx.export(
            module, x, path + ".onnx", input_names=["x"], output_names=["y"], dynamo=False,
            dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, opset_version=17)
    without_origins(path + ".onnx")
    y = onnxruntime.InferenceSession(path + ".onnx").run(None, {"x": x.numpy()})[0]
    np.save(path + ".x.npy", x.numpy())
    np.save(path + ".y.npy", y)


def main():
    torch.manual_seed(0)
    upsampling = Upsampling()
    for module in list(GENERATOR.modules()) + list(DISCRIMINATOR.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    for module in (GENERATOR, DISCRIMINATOR, upsampling):
        module.eval()
    export("generator", GENERATOR, torch.randn(3, 16, 1, 1), dynamo=False)
    export("discriminator", DISCRIMINATOR, torch.randn(3, 1, 16, 16), dynamo=True)
    export("upsampling", upsampling, torch.randn(2, 8), dynamo=False)
    export("upsampling-dynamo", upsampling, torch.randn(2, 8), dynamo=True)


if __name__ == "__main__":
    main()
