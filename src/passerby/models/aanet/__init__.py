"""AANet (Tay, Roy, Yap, CVPR 2019): a file for each part of the network."""

from passerby.models.aanet.model import AANet as AANet
