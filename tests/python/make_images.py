#!/usr/bin/env python3
"""Writes images in every mode that PNG, JPEG and WebP have, and the pixels that Pillow reads from them.

usage: make_images.py DEST        DEST/*.{png,jpg,webp}, DEST/*.rgb (raw bytes), DEST/manifest.txt
       make_images.py --samples   prints tests/data/sample_images.h

A line of manifest.txt: file name, width, height. Files whose EXIF says how they are to be held have
DEST/*.upright too, as ImageOps.exif_transpose turns them, and a line in upright.txt. Needs Pillow (10.2 or newer) and NumPy.
"""
import base64
import hashlib
import io
import pathlib
import struct
import sys
import warnings
import zlib

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


# ---- PNG, by hand: Pillow writes neither all depths nor interlacing ----------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(samples, depth):
    """(height, width, channels) samples -> unfiltered scanlines."""
    height, width = samples.shape[:2]
    if height == 0 or width == 0:
        return b""
    flat = samples.reshape(height, -1)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=-1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def encode_png(samples, color, depth, interlaced=False, before_idat=b""):
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b"".join(scanlines(samples[y::dy, x::dx], depth) for y, x, dy, dx in passes)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before_idat
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def palette_chunk(random, entries):
    return chunk(b"PLTE", random.integers(0, 256, 3 * entries, dtype=np.uint8).tobytes())


def png_files(random):
    depths = {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GRAY_ALPHA: (8, 16), RGBA: (8, 16)}
    names = {GRAY: "gray", RGB: "rgb", PALETTE: "palette", GRAY_ALPHA: "gray_alpha", RGBA: "rgba"}
    sizes = [(1, 1), (3, 2), (17, 33)]
    for color, depths_of_color in depths.items():
        for depth in depths_of_color:
            for interlaced in (False, True):
                for height, width in sizes:
                    shape = (height, width, CHANNELS[color])
                    samples = random.integers(0, 2**depth, shape)
                    extra = palette_chunk(random, 2**depth) if color == PALETTE else b""
                    name = f"{names[color]}{depth}_{width}x{height}{'_adam7' if interlaced else ''}"
                    yield name, encode_png(samples, color, depth, interlaced, extra)

    def one(color, depth=8, extra=b"", high=256):
        return encode_png(random.integers(0, high, (9, 11, CHANNELS[color])), color, depth, False, extra)

    transparent = chunk(b"tRNS", bytes(range(0, 256, 16)))
    yield "palette_transparent", one(PALETTE, extra=palette_chunk(random, 256) + transparent)
    yield "palette4_transparent", one(PALETTE, 4, palette_chunk(random, 16) + transparent, 16)
    yield "gray_transparent", one(GRAY, extra=chunk(b"tRNS", struct.pack(">H", 3)), high=8)
    yield "gray2_transparent", one(GRAY, 2, chunk(b"tRNS", struct.pack(">H", 1)), 4)
    yield "rgb_transparent", one(RGB, extra=chunk(b"tRNS", struct.pack(">HHH", 1, 1, 1)), high=2)
    yield "rgb16_transparent", one(RGB, 16, chunk(b"tRNS", struct.pack(">HHH", 1, 1, 1)), 2**16)
    yield "gamma1", one(RGB, extra=chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "gamma1_rgb16", one(RGB, 16, chunk(b"gAMA", struct.pack(">I", 100000)), 2**16)
    yield "gamma1_rgba", one(RGBA, extra=chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "gamma1_palette", one(PALETTE, extra=chunk(b"gAMA", struct.pack(">I", 100000)) + palette_chunk(random, 256))
    yield "srgb", one(RGB, extra=chunk(b"sRGB", b"\0"))
    yield "significant_bits", one(RGB, extra=chunk(b"sBIT", b"\5\6\5"))
    yield "background", one(RGBA, extra=chunk(b"bKGD", struct.pack(">HHH", 200, 100, 50)))
    yield "unknown_chunk", one(RGB, extra=chunk(b"xcEp", b"anything"))

    # As Pillow writes them, with filtered scanlines.
    photo = Image.fromarray(smooth(random, 61, 45))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "text " * 100, zip=True)
    yield "pillow_rgb", saved(photo, "PNG", icc_profile=profile, pnginfo=text)
    yield "pillow_gray", saved(photo.convert("L"), "PNG", optimize=True)
    yield "pillow_palette", saved(photo.quantize(40), "PNG", transparency=3)
    yield "pillow_bits", saved(photo.convert("1"), "PNG")


# ---- JPEG --------------------------------------------------------------------------------------


def smooth(random, width, height):
    """A picture with slopes, edges and a little noise: what a JPEG coder expects."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / a + y / b) for a, b in ((7, 11), (13, -5), (-9, 17))], -1)
    image = 128 + 90 * waves + 60 * ((x - width / 2) ** 2 + (y - height / 2) ** 2 < width * 3)[..., None]
    return np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def saved(image, format_, **options):
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def jpeg(image, **options):
    return saved(image, "JPEG", **options)


def with_sampling(data, vertical, horizontal):
    """Changes the sampling factors of the first component. Six blocks a unit stay six blocks."""
    at = data.index(b"\xff\xc0")
    return data[: at + 11] + bytes([horizontal << 4 | vertical]) + data[at + 12 :]


def with_adobe_transform(data, transform):
    at = data.index(b"Adobe")
    return data[: at + 11] + bytes([transform]) + data[at + 12 :]


def jpeg_files(random):
    for width, height in ((1, 1), (7, 5), (16, 16), (45, 61), (203, 157)):
        photo = Image.fromarray(smooth(random, width, height))
        for chroma in ("4:4:4", "4:2:2", "4:2:0"):
            for progressive in (False, True):
                name = f"rgb_{width}x{height}_{chroma.replace(':', '')}{'_progressive' if progressive else ''}"
                yield name, jpeg(photo, subsampling=chroma, progressive=progressive, quality=85)
        yield f"gray_{width}x{height}", jpeg(photo.convert("L"))
        yield f"cmyk_{width}x{height}", jpeg(photo.convert("CMYK"), quality=95)

    photo = Image.fromarray(smooth(random, 64, 64))
    for quality in (1, 30, 75, 100):
        yield f"quality{quality}", jpeg(photo, quality=quality)
    random_cmyk = Image.fromarray(random.integers(0, 256, (24, 24, 4), dtype=np.uint8), "CMYK")
    yield "cmyk_random", jpeg(random_cmyk, quality=100)
    yield "ycck", with_adobe_transform(jpeg(photo.convert("CMYK"), quality=90), 2)
    yield "adobe_rgb", jpeg(photo, keep_rgb=True)
    yield "restarts", jpeg(photo, restart_marker_blocks=2)
    yield "comment", jpeg(photo, comment=b"\xff\xd9 no end yet")
    yield "icc", jpeg(photo, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated
    yield "exif_rotated", jpeg(photo, exif=exif)
    yield "sampling_1x4", with_sampling(jpeg(photo, subsampling="4:2:0"), 4, 1)
    yield "sampling_4x1", with_sampling(jpeg(photo, subsampling="4:2:0"), 1, 4)
    plain = jpeg(photo)
    yield "trailing_bytes", plain + b"anything"
    yield "extraneous_bytes", plain[:-2] + bytes(range(1, 41)) + plain[-2:]  # decoders warn and go on


# ---- WebP --------------------------------------------------------------------------------------


def webp_files(random):
    for width, height in ((1, 1), (7, 5), (45, 61)):
        photo = Image.fromarray(smooth(random, width, height))
        alpha = Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8))
        for name, image in (("rgb", photo), ("rgba", Image.merge("RGBA", (*photo.split(), alpha)))):
            yield f"{name}_{width}x{height}", saved(image, "WEBP", quality=80)
            yield f"{name}_{width}x{height}_lossless", saved(image, "WEBP", lossless=True, exact=True)
        yield f"gray_{width}x{height}", saved(photo.convert("L"), "WEBP")


# ---- EXIF orientation --------------------------------------------------------------------------


def tiff(order, value, kind=3, count=1, before=(), offset=8):
    """A TIFF block with the orientation in its first directory, after `before`, (tag, value) pairs."""
    entries = [struct.pack(order + "HHIHH", tag, 3, 1, other, 0) for tag, other in before]
    form = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    entries.append(struct.pack(order + "HHI" + form, 0x0112, kind, count, value))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offset)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return head + bytes(offset - 8) + directory


def with_app1(data, block):
    segment = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def oriented_files(random):
    photo = Image.fromarray(smooth(random, 37, 22))
    blocks = {f"{order}{value}": tiff(sign, value) for order, sign in (("le", "<"), ("be", ">")) for value in range(10)}
    blocks["later"] = tiff("<", 6, before=((0x0100, 7), (0x0101, 8)), offset=20)
    blocks["long"] = tiff(">", 8, kind=4)
    plain_jpeg = jpeg(photo, quality=90)
    plain_png = saved(photo, "PNG")
    for name, block in blocks.items():
        yield f"{name}.jpg", with_app1(plain_jpeg, block)
        yield f"{name}.png", plain_png[:33] + chunk(b"eXIf", block) + plain_png[33:]
    yield "after_pixels.png", plain_png[:-12] + chunk(b"eXIf", blocks["be6"]) + plain_png[-12:]
    yield "after_jfif.jpg", plain_jpeg[:20] + with_app1(b"\xff\xd8", blocks["le5"])[2:] + plain_jpeg[20:]
    yield "gray.jpg", with_app1(jpeg(photo.convert("L")), blocks["le7"])
    yield "cmyk.jpg", with_app1(jpeg(photo.convert("CMYK")), blocks["le3"])
    for name in ("le6", "be8"):
        yield f"{name}.webp", saved(photo, "WEBP", exif=blocks[name])
        yield f"{name}_marked.webp", saved(photo, "WEBP", exif=b"Exif\0\0" + blocks[name])
    yield "adam7.png", (lambda data: data[:33] + chunk(b"eXIf", blocks["le8"]) + data[33:])(
        encode_png(random.integers(0, 256, (9, 14, 3)), RGB, 8, True)
    )


# ---- Output ------------------------------------------------------------------------------------


def pixels(data):
    """(width, height, RGB bytes) as Pillow reads them, but for 16-bit gray."""
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I"):  # Pillow's RGB is saturated at 255; ours is the high byte
        rgb = np.repeat((np.asarray(image).astype(np.uint32) >> 8)[..., None], 3, -1).astype(np.uint8)
    else:
        rgb = np.asarray(image.convert("RGB"))
    return image.width, image.height, rgb.tobytes()


def write_files(dest):
    dest.mkdir(parents=True, exist_ok=True)
    manifest = []
    random = np.random.default_rng(7)
    for suffix, files in (("png", png_files(random)), ("jpg", jpeg_files(random)), ("webp", webp_files(random))):
        for name, data in files:
            name = f"{name}.{suffix}"
            width, height, rgb = pixels(data)
            (dest / name).write_bytes(data)
            (dest / f"{name}.rgb").write_bytes(rgb)
            manifest.append(f"{name} {width} {height}\n")
    (dest / "manifest.txt").write_text("".join(manifest))
    upright = []
    for name, data in oriented_files(random):
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        (dest / f"upright_{name}").write_bytes(data)
        (dest / f"upright_{name}.rgb").write_bytes(turned.tobytes())
        upright.append(f"upright_{name} {turned.width} {turned.height}\n")
    (dest / "upright.txt").write_text("".join(upright))
    print(f"{dest}: {len(manifest)} images")


def print_samples():
    random = np.random.default_rng(3)
    photo = Image.fromarray(smooth(random, 23, 19))
    palette = palette_chunk(random, 16) + chunk(b"tRNS", bytes(range(0, 256, 16)))
    samples = {
        "baseline.jpg": jpeg(photo, optimize=True, quality=60),
        "progressive.jpg": jpeg(photo, progressive=True, quality=60, subsampling="4:4:4"),
        "cmyk.jpg": jpeg(photo.convert("CMYK"), optimize=True, quality=60),
        "restarts.jpg": jpeg(photo, optimize=True, quality=40, restart_marker_blocks=1),
        "rgb.png": saved(photo.resize((13, 11)), "PNG"),
        "rgba16_adam7.png": encode_png(random.integers(0, 2**16, (5, 9, 4)), RGBA, 16, True),
        "palette4.png": encode_png(random.integers(0, 16, (11, 21, 1)), PALETTE, 4, False, palette),
        "gray2_adam7.png": encode_png(random.integers(0, 4, (21, 33, 1)), GRAY, 2, True),
    }
    for name, data in samples.items():
        width, height, rgb = pixels(data)
        text = base64.b64encode(data).decode()
        print(f'    {{"{name}", {width}, {height},')
        print(f'     "{hashlib.sha256(rgb).hexdigest()}",')
        lines = [text[i : i + 88] for i in range(0, len(text), 88)]
        print("\n".join(f'     "{line}"' for line in lines) + "},")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Pillow advises against what is to be tested
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print_samples() if sys.argv[1] == "--samples" else write_files(pathlib.Path(sys.argv[1]))
