"""The errors of the inference front; a body that cannot be parsed is the kernel's `Unreadable`.

BurnishError                     code                what the client does about it
├── NotFound
│   └── RouteUnknown             route.unknown       reads the documentation
├── InvalidInput
│   ├── TooLarge                 request.too_large   sends less
│   ├── TooSlow                  request.timeout     sends faster
│   ├── MethodNotAllowed         request.method      uses the method in `Allow`
│   ├── UnsupportedMedia         request.media_type  sends image bytes
│   └── InvalidTensor            tensor.invalid      sends the tensor that the metadata asks for
├── Unavailable
│   └── Saturated                backpressure        waits for `Retry-After`, then repeats
└── NotFinite                    model.not_finite    nothing: the model failed on this input
"""

from burnish.kernel.errors import BurnishError, InvalidInput, NotFound, Unavailable


class RouteUnknown(NotFound):
    """Nothing answers at this path."""

    code = "route.unknown"


class TooLarge(InvalidInput):
    """The body has more bytes than we read."""

    code = "request.too_large"


class TooSlow(InvalidInput):
    """The body did not arrive in time."""

    code = "request.timeout"


class MethodNotAllowed(InvalidInput):
    """The path is right, the method is not."""

    code = "request.method"


class UnsupportedMedia(InvalidInput):
    """The content type or encoding is none that we read."""

    code = "request.media_type"


class InvalidTensor(InvalidInput):
    """A tensor has the wrong name, type, shape or values."""

    code = "tensor.invalid"


class Saturated(Unavailable):
    """As many requests are in flight as we take at once."""

    code = "backpressure"


class NotFinite(BurnishError):
    """The model answered an input with something that is no probability."""

    code = "model.not_finite"
