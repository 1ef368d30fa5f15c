"""AANet (Tay, Roy, Yap, CVPR 2019), one file per part of the network."""

from passerby.models.aanet.model import AANet as AANet
