"""Distiller: a small student is trained together with its teacher."""
